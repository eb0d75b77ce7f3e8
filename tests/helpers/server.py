"""A file server on the loopback interface that misbehaves on demand."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """Serves one file under every path, and remembers what it was asked.

    behaviours: what the next GET requests get, one each; "good" when there are none left.
    """

    content: bytes
    behaviours: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    address: str = ""
    closing: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        if request.command == "HEAD":
            self._headers(request, 200, len(self.content))
            return
        self.ranges.append(asked)
        behaviour = self.behaviours.pop(0) if self.behaviours else "good"
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        rest = self.content[start:]
        match behaviour:
            case "good" | "truncate" | "stall":
                self._headers(request, 206 if asked else 200, len(rest), start)
                sent = rest if behaviour == "good" else rest[: len(rest) // 2]
                request.wfile.write(sent)
                if behaviour == "stall":
                    self.closing.wait(30)
            case "cut short":  # and say nothing of the length
                request.send_response(200)
                request.end_headers()
                request.wfile.write(self.content[: len(self.content) // 2])
            case "page":
                page = b"<html>Too many users have viewed or downloaded this file recently.</html>"
                self._headers(request, 200, len(page))
                request.wfile.write(page)
            case "flip":
                middle = len(self.content) // 2
                flipped = bytes([self.content[middle] ^ 0xFF])
                self._headers(request, 200, len(self.content))
                request.wfile.write(self.content[:middle] + flipped + self.content[middle + 1 :])
            case "missing":
                request.send_error(404)

    def _headers(
        self, request: BaseHTTPRequestHandler, status: int, length: int, start: int = 0
    ) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(length))
        request.send_header("ETag", '"0123456789abcdef"')
        request.send_header("X-Repo-Commit", "0" * 40)
        if status == 206:
            total = len(self.content)
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        request.end_headers()


@contextmanager
def serve(content: bytes) -> Iterator[FileServer]:
    """Run a `FileServer` on a free port until the block is left."""
    files = FileServer(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client may have had enough
                files.answer(self)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        files.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield files
        finally:
            files.closing.set()
            server.shutdown()
            thread.join()
