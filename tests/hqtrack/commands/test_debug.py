import inspect
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from hqtrack.baseline import FirstMask
from hqtrack.cli import main
from hqtrack.records.record import read_heading, recorded_frames
from tests.helpers.workspaces import late_sequence

ROOT = Path(__file__).resolve().parents[3]
SIZE = (60, 80)


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames; object 3 appears on the third."""
    return late_sequence(tmp_path_factory.mktemp("debug"), SIZE)


def test_it_prints_what_the_real_process_does(
    sequence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [str(sequence), "--preset", "first-mask", "--out", str(out)]
    assert main(["debug", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "hello    FirstMask: regions mask; images path" in printed
    pattern = r"frame 3: [\d.]+ ms: read [\d.]+ preprocess 0.0 .* answer [\d.]+ on the way [\d.]+"
    assert re.search(pattern, printed)
    assert re.search(r"002: \d+ px, confidence 1.00, tracked", printed)
    assert re.search(r"003: \d+ px, confidence 1.00, as given", printed)
    assert "@@TRAX:hello" in (out / "tracker.log").read_text()
    drawn, frame = (
        cv2.imread(str(folder))
        for folder in (out / "00000004.jpg", sequence / "color/00000004.jpg")
    )
    assert drawn.shape == frame.shape
    assert np.abs(drawn.astype(int) - frame).max() > 60


FAULTY = """
import sys
from hqtrack.vot import process, server, session
from hqtrack.vot.messages import Kind, format_message

def faulty(tracked, shape, honest=session._answers):
    answers = honest(tracked, shape)
    kind = sys.argv[1]
    if kind == "count":
        return answers[:-1]
    if kind == "confidence":
        return [answer._replace(confidence=7.0) for answer in answers]
    if kind == "mute":
        server._state = lambda answer: format_message(Kind.STATE, (answer.region,))
    if kind == "outside":
        return [answer._replace(region="mask:75,3,9,9,0,81") for answer in answers]
    if kind == "exit":
        sys.exit(7)
    if kind == "bug":
        raise RuntimeError("a bug")
    return answers

session._answers = faulty
sys.exit(process.main(["--preset", "first-mask"]))
"""


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("count", "terminated the session"),
        ("confidence", "confidence 7"),
        ("mute", "confidence nothing"),
        ("outside", "exceeds the frame"),
        ("exit", "terminated the session"),
        ("bug", "a bug"),
    ],
)
def test_a_disagreement_ends_it(
    sequence: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    message: str,
) -> None:
    script = tmp_path / "faulty.py"
    script.write_text(FAULTY)
    registry = tmp_path / "trackers.ini"
    registry.write_text(
        f"[FirstMask]\nprotocol = trax\ncommand = {sys.executable} {script} {kind}\n"
        f"env_PYTHONPATH = {ROOT / 'tracker'}:{ROOT / 'models'}\n"
    )
    monkeypatch.setattr("hqtrack.evaluation.make_workspace.REGISTRY", registry)
    assert main(["debug", str(sequence), "--preset", "first-mask"]) == 1
    printed = capsys.readouterr().out
    assert re.search(f"hqtrack debug: .*({message})", printed)
    log = Path(printed.split("log is ")[1].strip())
    assert "@@TRAX:hello" in log.read_text()


def test_a_debugger_keeps_the_terminal(sequence: Path) -> None:
    line = inspect.getsourcelines(FirstMask.track)[1] + 2
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tracker'}:{ROOT / 'models'}"}
    listen = ["debug", str(sequence), "--preset", "first-mask", "--to", "2", "--listen", port]
    with subprocess.Popen(
        [sys.executable, "-m", "hqtrack", *listen],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        assert "start the tracker" in process.stdout.readline()
        command = process.stdout.readline().split()
        settings = dict(word.split("=", 1) for word in command if "=" in word)
        debugger = subprocess.run(
            [sys.executable, *command[len(settings) + 1 :]],
            input=f"b hqtrack/baseline.py:{line}\nc\np 6 * 7\ncl 1\nc\nq\n",
            capture_output=True,
            text=True,
            env={**environment, **settings},
        )
        assert re.search(r"baseline.py\(\d+\)track\(\)(.|\n)*\(Pdb\) 42", debugger.stdout)
        printed = process.stdout.read()
        assert process.wait() == 0
    assert "frame 2:" in printed
    assert "confidence 1.00, tracked" in printed


def test_a_record_holds_what_the_tracker_process_did(sequence: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    assert main(["debug", str(sequence), "--preset", "light", "--record", str(record)]) == 0
    assert read_heading(record).objects == {1: "001", 2: "002", 3: "003"}
    frames = list(recorded_frames(record))
    assert [[shown.number for shown in frame.objects] for frame in frames] == [
        [1, 2],
        [1, 2],
        [1, 2, 3],
        [1, 2, 3],
    ]
    assert [shown.coarse is None for shown in frames[2].objects] == [False, False, True]
    assert all(shown.coarse is not None for shown in frames[3].objects)
    assert [frame.memory[0][1] if frame.memory else None for frame in frames] == [None, 0, 1, 2]
