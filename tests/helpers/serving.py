"""The server of a project in a thread, and requests to it."""

import json
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager

TOKEN = "a-token"


@contextmanager
def serving(studio):
    """Serves an open project; gives the port."""
    import uvicorn

    from hqtrack.app.server import bind, make_app

    with bind(None) as listening:
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            make_app(studio, TOKEN, port), log_level="error", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join()


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *given):
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


def request(port, path, content=None, token=TOKEN, **headers):
    """Status, headers and content of an answer; content is sent by POST from our own origin."""
    mark = "&" if "?" in path else "?"
    url = f"http://127.0.0.1:{port}{path}{f'{mark}token={token}' if token else ''}"
    if isinstance(content, dict):
        content = json.dumps(content).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    if content is not None:
        headers.setdefault("Origin", f"http://127.0.0.1:{port}")
    asked = urllib.request.Request(url, content, {k: v for k, v in headers.items() if v})
    try:
        with _opener.open(asked, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
