"""The web server of a project: who may ask, and what is answered."""

import asyncio
import contextlib
import json
import secrets
import shlex
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from hqtrack.app.studio import Conflict, Studio
from hqtrack.errors import InputError, one_line
from hqtrack.exports.export import FORMATS

HOST = "127.0.0.1"

_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_FILES = {
    "app.css": "hqtrack.app",
    "app.js": "hqtrack.app",
    "app_drawing.js": "hqtrack.app",
    "app_picture.js": "hqtrack.app",
    "app_timeline.js": "hqtrack.app",
    "app.html": "hqtrack.app",
    "page.css": "hqtrack.records",
    "page_masks.js": "hqtrack.records",
}
"""Everything that is served from disk, and its package. The viewer is that of the records."""

_READING = ThreadPoolExecutor(2, "reading")
_CHANGING = ThreadPoolExecutor(2, "changing")
"""Few threads, because each keeps memory of its own: frames are large. Two kinds, so that pictures
come while something changes, and two each, so that a long export does not hold up the rest."""

_MOST_BYTES = 64 * 2**20
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """Lets a request pass that comes from our own page on this machine, as ASGI middleware.

    It needs the token, in the address or in a cookie, and our own name as host, so that no name of
    another machine leads here. What changes something needs our own page as its origin, too.
    """

    def __init__(self, app: Any, token: str, port: int) -> None:
        self._app = app
        self._token = token
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}
        self._cookie = f"hqtrack-{port}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer 403, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        reason = self._refused(request)
        if reason:
            await PlainTextResponse(reason, 403, _HEADERS)(scope, receive, send)
        elif request.url.path == "/" and "token" in request.query_params:
            # from now on the token is in a cookie, and not in the address
            answer = RedirectResponse("/", 303, _HEADERS)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict")
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refused(self, request: Request) -> str:
        """Why a request is refused; empty if it is not."""
        if request.headers.get("host") not in self._hosts:
            return "this server answers only at its own address"
        given = request.query_params.get("token") or request.cookies.get(self._cookie) or ""
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return "open the address that `hqtrack app` printed: it has a token"
        origin = request.headers.get("origin")
        if origin is None:
            return "" if request.method in ("GET", "HEAD") else "this request has no origin"
        own = {f"http://{host}" for host in self._hosts}
        return "" if origin in own else "this request comes from another page"


def make_app(studio: Studio, token: str, port: int) -> Any:
    """The ASGI application of a project that is open."""
    routes = [
        Route("/", lambda request: _file("app.html")),
        Route("/files/{name}", lambda request: _file(request.path_params["name"])),
        Route("/api/state", _answering(lambda request: studio.state())),
        Route("/api/curves", _answering(lambda request: studio.curves())),
        Route("/api/masks/{frame:int}", _answering(lambda r: studio.masks(r.path_params["frame"]))),
        Route("/api/frames/{frame:int}", _answering(lambda r: _picture(studio, r))),
        Route("/api/formats", _answering(lambda request: _formats())),
        Route("/api/command", _answering(lambda r: {"command": shlex.join(studio.command())})),
        Route("/api/events", lambda request: _events(studio)),
        Route("/api/change", _changing(studio, _change), methods=["POST"]),
        Route("/api/mask", _changing(studio, _give_mask), methods=["POST"]),
        Route("/api/start", _changing(studio, _start), methods=["POST"]),
        Route("/api/stop", _changing(studio, _stop), methods=["POST"]),
        Route("/api/export", _changing(studio, _export), methods=["POST"]),
    ]
    return Guard(Starlette(routes=routes), token, port)


def bind(port: int | None) -> socket.socket:
    """A socket of this machine that listens on a port; on any free one for None.

    Raises InputError if another program uses the port.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port or 0))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        raise InputError(
            f"cannot use port {port} ({getattr(error, 'strerror', None) or error}): give another "
            "--port, or none"
        ) from error
    return listening


def _file(name: str) -> Response:
    package = _FILES.get(name)
    if package is None:
        return PlainTextResponse("there is no such file", 404, _HEADERS)
    folder = resources.files(package)
    place = folder / "page" / name if package == "hqtrack.app" else folder / name
    kind = _TYPES[name.rsplit(".", 1)[1]]
    return Response(place.read_bytes(), 200, _HEADERS, f"{kind}; charset=utf-8")


def _answering(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """A handler that answers in a thread; errors of the input are answered as such."""

    async def handle(request: Request) -> Response:
        return await _in(_READING, lambda: answer(request))

    return handle


def _changing(
    studio: Studio, answer: Callable[[Studio, Request, bytes], Any]
) -> Callable[[Request], Any]:
    """A handler that gets the content of the request, too."""

    async def handle(request: Request) -> Response:
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > _MOST_BYTES:
                return JSONResponse({"error": "the request is too large"}, 413, _HEADERS)
        return await _in(_CHANGING, lambda: answer(studio, request, bytes(content)))

    return handle


async def _in(threads: Executor, answer: Callable[[], Any]) -> Response:
    return await asyncio.get_running_loop().run_in_executor(threads, lambda: _answered(answer))


def _answered(answer: Callable[[], Any]) -> Response:
    try:
        content = answer()
    except Conflict as error:
        return JSONResponse({"error": str(error), "conflict": True}, 409, _HEADERS)
    except (InputError, OSError, MemoryError) as error:
        return JSONResponse({"error": one_line(error)}, 400, _HEADERS)
    if isinstance(content, Response):
        return content
    return JSONResponse(content, 200, _HEADERS)


def _picture(studio: Studio, request: Request) -> Response:
    data = studio.picture(request.path_params["frame"])
    return Response(data, 200, _HEADERS, "image/jpeg")


def _formats() -> Any:
    return [{"name": name, "about": each.about} for name, each in FORMATS.items()]


def _change(studio: Studio, request: Request, content: bytes) -> Any:
    given = _object(content)
    return studio.change(_revision(given.get("revision")), given)


def _give_mask(studio: Studio, request: Request, content: bytes) -> Any:
    from pathlib import Path

    from hqtrack.video.mask_files import decode_mask_file

    query = request.query_params
    try:
        revision, number, frame = (int(query[name]) for name in ("revision", "number", "frame"))
    except (KeyError, ValueError):
        raise InputError("revision, number and frame are whole numbers") from None
    labels = decode_mask_file(content, Path("the mask file"))[0]
    wanted = labels == number if (labels == number).any() else labels > 0
    return studio.give_mask(revision, number, frame, wanted)


def _start(studio: Studio, request: Request, content: bytes) -> Any:
    to = _object(content).get("to")
    if to is not None and (isinstance(to, bool) or not isinstance(to, int)):
        raise InputError(f"a frame is a whole number, not {to!r}")
    return studio.start(to)


def _stop(studio: Studio, request: Request, content: bytes) -> Any:
    studio.stop()
    return studio.state()


def _export(studio: Studio, request: Request, content: bytes) -> Any:
    formats = _object(content).get("formats")
    if not isinstance(formats, list) or not all(isinstance(each, str) for each in formats):
        raise InputError("give the names of formats")
    return {"written": studio.export(formats)}


def _object(content: bytes) -> dict[str, Any]:
    try:
        given = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise InputError("the request is no JSON object")
    return given


def _revision(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _events(studio: Studio) -> Response:
    return StreamingResponse(_stream(studio), 200, _HEADERS, "text/event-stream")


async def _stream(studio: Studio) -> AsyncIterator[str]:
    """Server-sent events: the state now, and then whatever happens; a comment while nothing does.

    A page that does not read fast enough loses progress, but no state.
    """
    loop = asyncio.get_running_loop()
    waiting: dict[str, Any] = {"state": studio.state()}
    woken = asyncio.Event()

    def put(name: str, content: dict[str, Any]) -> None:
        waiting.pop(name, None)  # it is told where it belongs: after what came before it
        waiting[name] = content
        woken.set()

    def listener(name: str, content: dict[str, Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended with the server
            loop.call_soon_threadsafe(put, name, content)

    end = studio.listen(listener)
    try:
        while True:
            for name in list(waiting):
                yield f"event: {name}\ndata: {json.dumps(waiting.pop(name))}\n\n"
            woken.clear()
            if waiting:
                continue
            try:
                await asyncio.wait_for(woken.wait(), 15)
            except TimeoutError:
                yield ": still here\n\n"
    finally:
        end()
