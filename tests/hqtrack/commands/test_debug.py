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
from hqtrack.errors import InputError
from hqtrack.evaluation.make_workspace import make_workspace
from hqtrack.evaluation.starts import read_starts
from hqtrack.records.record import read_heading, recorded_frames
from hqtrack.synthetic import Scene, generate
from hqtrack.video import find_sequences, write_sequence
from hqtrack.video.run_lengths import encode_mask
from hqtrack.vot.trace import TracedFrame

ROOT = Path(__file__).resolve().parents[3]
SIZE = (60, 80)


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames; object 3 appears on the third."""
    folder = tmp_path_factory.mktemp("debug") / "late"
    images, masks = generate(11, 4, SIZE, 3, Scene(speed=0.01, leaving=0.0, bystanders=0))
    masks[:2][masks[:2] == 3] = 0
    write_sequence(folder, images, masks)
    return folder


def test_objects_start_where_they_appear(sequence: Path) -> None:
    starts = read_starts(sequence, None, 1, None)
    assert [sorted(start.names) for start in starts] == [["001", "002"], [], ["003"], []]
    assert starts[2].masks.shape == (1, *SIZE)
    assert [start.names for start in read_starts(sequence, "3", 3, 4)] == [["003"], []]
    assert sorted(read_starts(sequence, None, 4, 4)[0].names) == ["001", "002", "003"]


def test_a_sequence_of_a_workspace_gives_the_same(sequence: Path, tmp_path: Path) -> None:
    make_workspace(tmp_path / "workspace", find_sequences(sequence))
    ours = read_starts(sequence, "1,3", 1, 3)
    theirs = read_starts(tmp_path / "workspace" / "sequences" / "late", "1,3", 1, 3)
    for one, other in zip(ours, theirs, strict=True):
        assert one.names == other.names
        assert np.array_equal(one.masks, other.masks)


@pytest.mark.parametrize(
    ("objects", "first", "last", "message"),
    [
        ("7", 1, None, "choose from 1, 2, 3"),
        (None, 3, 2, "frames 1 to 4"),
        (None, 1, 5, "frames 1 to 4"),
        ("3", 1, None, "another --from"),
    ],
)
def test_what_is_not_there_is_named(
    sequence: Path, objects: str, first: int, last: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_starts(sequence, objects, first, last)


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
import sys, numpy as np
from hqtrack.vot import process, session
from hqtrack.baseline import FirstMask
import trax

def faulty(tracked, kind, honest=session._objects):
    objects = honest(tracked)
    if kind == "count":
        return objects[:-1]
    if kind == "confidence":
        return [(region, {"confidence": 7.0}) for region, _ in objects]
    if kind == "mute":
        return [(region, {}) for region, _ in objects]
    if kind == "outside":
        return [(trax.Mask.create(np.ones((9, 9), np.uint8), x=75, y=3), p) for _, p in objects]
    if kind == "exit":
        sys.exit(7)
    if kind == "bug":
        raise RuntimeError("a bug")

session._objects = lambda tracked: faulty(tracked, sys.argv[1])
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
    assert [frame.memory[0][1] if frame.memory else None for frame in frames] == [None, 0, 0, 2]


def test_the_step_of_a_trace_covers_the_objects_that_were_not_tracked() -> None:
    masks = np.zeros((2, 4, 6), np.bool_)
    masks[0, 1:3, 2:5] = True
    masks[1, 0, 0] = True
    encoded = [encode_mask(mask) for mask in masks]
    traced = TracedFrame({}, [0, 2], [True, False], [0.5, 0.0], encoded, encoded[::-1], [([0], 1)])
    step = traced.step((4, 6))
    assert step is not None
    assert np.array_equal(step.coarse, [masks[0], np.zeros((4, 6)), masks[1]])
    assert step.selection is not None
    assert step.selection.refined.tolist() == [True, False, False]
    assert np.array_equal(step.selection.masks, [masks[1], np.zeros((4, 6)), masks[1]])
    assert step.memory[0].short_term == 1
