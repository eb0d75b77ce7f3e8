"""The server: who may ask, and what is answered to what."""

import io
import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError
from tests.helpers.serving import TOKEN, request, serving

pytest.importorskip("starlette", reason="needs the extra app (pip install 'hqtrack[app]')")

BOX = {"left": 4, "top": 2, "right": 9, "bottom": 6}


@pytest.fixture
def port(studio):
    with serving(studio) as port:
        yield port


def answer(port, path, content=None, status=200):
    code, _, body = request(port, path, content)
    assert code == status, body
    return json.loads(body)


def test_the_address_with_the_token_leads_to_the_page(port):
    code, headers, _ = request(port, "/")
    assert (code, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    code, headers, body = request(port, "/", token=None, Cookie=cookie.split(";")[0])
    assert code == 200
    assert body.startswith(b"<!doctype html>")
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("path", "headers", "message"),
    [
        ("/", {"token": None}, "it has a token"),
        ("/api/state", {"token": "wrong"}, "it has a token"),
        ("/api/state", {"token": None, "Cookie": "hqtrack-1=a-token"}, "it has a token"),
        ("/api/state", {"Host": "example.org"}, "only at its own address"),
        ("/api/state", {"Origin": "http://example.org"}, "another page"),
        ("/api/change", {"content": {}, "Origin": "http://example.org"}, "another page"),
        ("/api/change", {"content": {}, "Origin": "null"}, "another page"),
        ("/api/change", {"content": {}, "Origin": ""}, "no origin"),
        ("/api/change", {"content": {}, "token": None}, "it has a token"),
    ],
)
def test_strangers_are_refused(port, path, headers, message):
    code, _, body = request(port, path, **headers)
    assert code == 403
    assert message in body.decode()


@pytest.mark.parametrize(
    "path",
    ["/files/../server.py", "/files/%2e%2e/server.py", "/files//etc/passwd", "/files/x.js", "/x"],
)
def test_only_the_files_of_the_page_are_served(port, path):
    assert request(port, path)[0] == 404


@pytest.mark.parametrize("name", ["app.css", "app.js", "page.css", "page_masks.js"])
def test_the_page_and_the_shared_viewer_are_served(port, name):
    code, headers, body = request(port, f"/files/{name}")
    assert code == 200
    assert body
    assert headers["Content-Type"].split(";")[0] in ("text/css", "text/javascript")


def test_steps_from_an_object_to_files(port, studio):
    state = answer(port, "/api/change", {"revision": 0, "kind": "add", "name": "cat"})
    box = {"revision": 1, "kind": "box", "number": 1, "frame": 2, **BOX}
    assert answer(port, "/api/change", box)["objects"][0]["given"] == [2]
    answer(port, "/api/start", {"to": None})
    studio.wait()
    state = answer(port, "/api/state")
    assert (state["tracked"], state["error"]) == (6, "")
    assert [each["number"] for each in answer(port, "/api/masks/5")["objects"]] == [1]
    assert answer(port, "/api/curves")["last"] == 6
    assert answer(port, "/api/command")["command"].startswith("hqtrack run ")
    names = [each["name"] for each in answer(port, "/api/formats")]
    written = answer(port, "/api/export", {"formats": names})["written"]
    assert len(written) == len(names) == 8
    code, headers, body = request(port, "/api/frames/3")
    assert (code, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")


def test_a_mask_is_sent_as_a_file(port, studio):
    answer(port, "/api/change", {"revision": 0, "kind": "add"})
    labels = np.zeros(studio.size, np.uint8)
    labels[3:6, 10:14] = 255
    file = io.BytesIO()
    PillowImage.fromarray(labels).save(file, "PNG")
    path = "/api/mask?revision=1&number=1&frame=2"
    assert answer(port, path, file.getvalue())["objects"][0]["given"] == [2]
    assert "mask file" in answer(port, path, b"no image", 400)["error"]
    assert "whole numbers" in answer(port, "/api/mask?number=x", b"", 400)["error"]


@pytest.mark.parametrize(
    ("path", "content", "status", "message"),
    [
        ("/api/change", {"kind": "add"}, 409, "another tab"),
        ("/api/change", {"kind": "add", "revision": 7}, 409, "another tab"),
        ("/api/change", {"kind": "dance", "revision": 0}, 400, "no action 'dance'"),
        ("/api/change", b"[]", 400, "no JSON object"),
        ("/api/change", b"\xff", 400, "no JSON object"),
        ("/api/start", {"to": "x"}, 400, "a frame is a whole number"),
        ("/api/start", {}, 400, "nothing to track yet"),
        ("/api/export", {"formats": "csv"}, 400, "names of formats"),
        ("/api/export", {"formats": ["csv"]}, 400, "no run in"),
        ("/api/masks/7", None, 200, ""),
        ("/api/frames/7", None, 400, "no frame 7: the video has 6"),
    ],
)
def test_what_cannot_be_done_is_answered(port, path, content, status, message):
    code, _, body = request(port, path, content)
    assert code == status
    assert message in body.decode()


def test_too_much_is_refused(port, monkeypatch):
    monkeypatch.setattr("hqtrack.app.server._MOST_BYTES", 1000)
    assert answer(port, "/api/mask", b"x" * 2000, 413)["error"] == "the request is too large"


def test_events_begin_with_the_state_and_go_on(port, studio):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/api/events?token={TOKEN}")
    events = connection.getresponse()
    assert events.readline() == b"event: state\n"
    assert json.loads(events.readline().removeprefix(b"data: "))["revision"] == 0
    events.readline()
    studio.change(0, {"kind": "add"})
    assert events.readline() == b"event: state\n"
    assert json.loads(events.readline().removeprefix(b"data: "))["revision"] == 1
    connection.close()


def test_a_port_that_is_taken(port):
    from hqtrack.app.server import bind

    with pytest.raises(InputError, match=rf"cannot use port {port} .*give another"):
        bind(port)
    with pytest.raises(InputError, match="cannot use port 70000"):
        bind(70000)
