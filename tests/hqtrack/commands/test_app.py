"""The command that serves a project: what it says, and that a kill loses nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from hqtrack.cli import main
from hqtrack.synthetic import generate
from hqtrack.video import write_sequence
from tests.helpers.serving import request

pytest.importorskip("starlette", reason="needs the extra app (pip install 'hqtrack[app]')")


@pytest.fixture
def clip(tmp_path):
    write_sequence(tmp_path / "clip", *generate(seed=1, frames=8, objects=1, size=(48, 64)))
    return tmp_path / "clip" / "color"


@pytest.fixture
def start(tmp_path, clip):
    """Starts the command; gives the process, its port and its token."""
    running = []

    def begin(*options, video=clip):
        words = ["app", video, "--no-browser", *options]
        if video == clip:
            words += ["--output", tmp_path / "project"]
        process = subprocess.Popen(
            [sys.executable, "-m", "hqtrack", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
            # a shell ignores it in the background
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        running.append(process)
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", line)
        assert address, line + process.stderr.read()
        return process, int(address[1]), address[2]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def test_a_killed_server_has_saved_everything_and_goes_on(start, tmp_path):
    process, port, token = start("--preset", "light")
    content = {"revision": 0, "kind": "add", "name": "cat"}
    assert request(port, "/api/change", content, token=token)[0] == 200
    process.kill()
    process.wait()
    process, port, token = start("--preset", "light")
    state = json.loads(request(port, "/api/state", token=token)[2])
    assert [each["name"] for each in state["objects"]] == ["cat"]
    assert state["tracker"] == "light"
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130


def test_killed_while_tracking_it_goes_on_as_if_nothing_had_happened(start, clip, tmp_path):
    def post(path, **content):
        code, _, body = request(port, path, content, token=token)
        assert code == 200, body
        return json.loads(body)

    def tracked():
        return json.loads(request(port, "/api/state", token=token)[2])["tracked"]

    def wait_for(frames):
        while tracked() < frames:
            time.sleep(0.05)

    mask = clip.parent / "masks" / "00000001.png"
    process, port, token = start("--preset", "light")
    post("/api/change", revision=0, kind="add")
    path = "/api/mask?revision=1&number=1&frame=1"
    assert request(port, path, mask.read_bytes(), token=token)[0] == 200
    post("/api/start", to=None)
    wait_for(2)
    process.kill()
    process.wait()
    # the project knows its video
    process, port, token = start("--preset", "light", video=tmp_path / "project")
    assert tracked() >= 2
    post("/api/start", to=None)
    wait_for(8)
    words = ["run", str(clip), "--mask", str(mask), "--preset", "light", "--output"]
    assert main([*words, str(tmp_path / "command")]) == 0
    for name in (f"{number:08d}.png" for number in range(1, 9)):
        ours, theirs = (tmp_path / folder / "masks" / name for folder in ("project", "command"))
        assert ours.read_bytes() == theirs.read_bytes()


def test_one_port_and_one_folder_for_one_server(start, clip, capsys, tmp_path):
    _, port, _ = start("--preset", "light")
    words = ["app", str(clip), "--no-browser", "--preset", "light", "--output"]
    assert main([*words, str(tmp_path / "other"), "--port", str(port)]) == 2
    assert f"cannot use port {port}" in capsys.readouterr().err
    assert main([*words, str(tmp_path / "project")]) == 2
    assert "writes to" in capsys.readouterr().err


def test_what_is_no_video(tmp_path, capsys):
    (tmp_path / "text.mp4").write_text("no video")
    for name, message in [("nothing.mp4", "no file or folder"), ("text.mp4", "is not a video")]:
        assert main(["app", str(tmp_path / name), "--no-browser"]) == 2
        assert message in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys, clip):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["app", str(clip)]) == 2
    assert "pip install 'hqtrack[app]'" in capsys.readouterr().err
