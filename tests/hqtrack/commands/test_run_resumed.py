"""``hqtrack run`` into a folder that has a run: of another input, in another process, damaged."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.cli import main
from hqtrack.video import read_labels, write_labels
from tests.helpers.moving import Moving
from tests.helpers.run_command import (
    HEIGHT,
    NAMES,
    WIDTH,
    error_of,
    lines_of,
    recorded,
    same_files,
    summary,
    written,
)
from tests.helpers.video_files import pictures, read_video, write_burst, write_video

ROOT = Path(__file__).resolve().parents[3]


def other_image(path, value=77):
    PillowImage.new("RGB", (WIDTH, HEIGHT), (value, 0, 0)).save(path)


def stopped(arguments, built):
    """Stop a run after three frames."""
    built.fails = KeyboardInterrupt()
    assert main(arguments) == 130
    built.fails = None


@pytest.fixture(params=["complete", "stopped"])
def started(request, arguments, built):
    """The arguments of a run of which five or three frames are finished."""
    if request.param == "stopped":
        stopped(arguments, built)
    else:
        assert main(arguments) == 0
    built.asked.clear()
    return arguments


def untouched(output):
    return {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_another_image_under_the_same_name(started, tmp_path, built, output, capsys):
    before = untouched(output)
    other_image(tmp_path / "images" / "5.png")
    error = error_of(started, capsys)
    assert "frame 2 of" in error
    assert f"is not the one whose masks are in {output}: give another --output, or --res" in error
    assert built.asked == []
    assert untouched(output) == before
    assert main([*started, "--restart"]) == 0
    assert written(output) == NAMES
    built.asked.clear()
    assert main(started) == 0
    assert built.asked == []


@pytest.mark.parametrize("stop", [False, True])
def test_another_video_under_the_same_name(tmp_path, built, output, capsys, stop):
    path = write_video(tmp_path / "clip.mp4", pictures(9))
    command = ["run", str(path), "--box", "4,8,6,6", "--output", str(output)]
    if stop:
        stopped(command, built)
    else:
        assert main(command) == 0
    write_video(path, [255 - picture for picture in pictures(9)])
    error = error_of(command, capsys)
    assert "clip.mp4 (" in error
    assert " is not the one whose masks are" in error
    assert "resumes after" not in capsys.readouterr().err


def test_a_folder_that_grew_goes_on(started, tmp_path, built, output, capsys):
    for number in (101, 102, 103):
        other_image(tmp_path / "images" / f"{number}.png", number)
    assert main(started) == 0
    said = capsys.readouterr().err
    assert "the input has changed (5 files then, 8 now), but not its first" in said
    assert len(built.asked) == 1
    assert len(lines_of(output)) == 8
    assert main([*started[:-1], str(tmp_path / "whole")]) == 0
    same_files(output, tmp_path / "whole")
    built.asked.clear()
    assert main(started) == 0
    assert built.asked == []


def test_a_killed_run_of_a_folder_that_grew_is_not_complete(
    tmp_path, arguments, built, output, monkeypatch
):
    assert main(arguments) == 0
    other_image(tmp_path / "images" / "101.png")
    monkeypatch.setattr("hqtrack.runs.run._track_and_finish", lambda *given: None)
    assert main(arguments) == 0  # as if killed after the input was noted
    monkeypatch.undo()
    monkeypatch.setattr("hqtrack.build.build_tracker", lambda *given, **options: built.make())
    assert main(arguments) == 0
    assert len(lines_of(output)) == 6


@pytest.mark.parametrize("gone", ["100.png", "1.png"])
def test_a_folder_that_shrank_is_refused(arguments, tmp_path, built, output, capsys, gone):
    assert main(arguments) == 0
    (tmp_path / "images" / gone).unlink()
    error = error_of(arguments, capsys)
    assert "(5 files then, 4 now)" in error
    assert ("ends before frame 5" if gone == "100.png" else "frame 1 of") in error


def test_a_changed_time_alone_is_the_same_input(started, tmp_path, built, output):
    complete = summary(output)["complete"]
    for path in (tmp_path / "images").iterdir():
        os.utime(path, (1, 1))
    assert main(started) == 0
    assert built.asked == [] or not complete
    assert written(output) == NAMES


def test_the_same_images_elsewhere_are_the_same_input(started, tmp_path, built, output):
    shutil.move(tmp_path / "images", tmp_path / "moved")
    started[1] = str(tmp_path / "moved")
    assert main(started) == 0
    assert written(output) == NAMES


def test_a_journal_of_an_earlier_version(started, built, output, capsys):
    journal = output / "frames.jsonl"
    heading, *lines = map(json.loads, journal.read_text().splitlines())
    for name in ("input", "computation", "weights"):
        del heading["run"][name]
    lines = [line[:-1] for line in lines]
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in (heading, *lines)))
    error = error_of(started, capsys)
    assert "results of an earlier version, which did not note computation, input, weights" in error
    assert "--restart to replace them" in error
    assert main([*started, "--restart"]) == 0
    assert written(output) == NAMES


def test_restart_deletes_only_what_the_run_wrote(tmp_path, arguments, built, output, labels):
    assert main([*arguments, "--overlay", "--record"]) == 0
    notes = [output / "notes.txt", output / "masks" / "notes.txt", output / "record" / "mine"]
    for path in notes:
        path.write_text("mine")
    other_image(tmp_path / "images" / "5.png")
    (tmp_path / "images" / "100.png").unlink()
    assert main([*arguments, "--restart"]) == 0
    assert [path.read_text() for path in notes] == ["mine"] * 3
    notes[1].unlink()
    assert written(output) == NAMES[:4]
    assert not (output / "overlay.mp4").exists()
    assert [path.name for path in (output / "record").iterdir()] == ["mine"]


def test_restart_does_not_mix_with_label_maps_of_others(arguments, built, output, labels, capsys):
    assert main(arguments) == 0
    write_labels(output / "masks" / "mine.png", labels)
    before = untouched(output)
    error = error_of([*arguments, "--restart"], capsys)
    assert "files that are not from a run (mine.png)" in error
    assert untouched(output) == before


def test_restart_of_nothing_is_a_start(arguments, built, output):
    assert main([*arguments, "--restart"]) == 0
    assert written(output) == NAMES


@pytest.mark.parametrize("name", ["masks.json", "summary.json", "overlay.mp4"])
def test_files_that_no_run_wrote_are_not_written_over(arguments, built, output, capsys, name):
    output.mkdir(parents=True)
    (output / name).write_text("mine")
    assert f"not from a run ({name})" in error_of([*arguments, "--overlay"], capsys)
    assert f"not from a run ({name})" in error_of([*arguments, "--restart"], capsys)
    assert (output / name).read_text() == "mine"


SLOW = """
import sys, time, hqtrack.build
sys.path.insert(0, sys.argv.pop(1))
from tests.helpers.moving import Moving
class Slow(Moving):
    def track(self, image):
        time.sleep(0.2)
        return super().track(image)
hqtrack.build.build_tracker = lambda *given, **options: Slow()
from hqtrack.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start_slow(arguments, **options):
    command = [sys.executable, "-c", SLOW, str(ROOT), *arguments, "--preset", "light"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def wait_for_frames(output, count, process):
    journal = output / "frames.jsonl"
    while not journal.exists() or journal.read_bytes().count(b"\n") <= count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def test_a_second_run_into_the_same_folder_is_refused(tmp_path, arguments, built, output, capsys):
    arguments += ["--preset", "light"]
    with start_slow(arguments) as process:
        wait_for_frames(output, 1, process)
        error = error_of(arguments, capsys)
        assert f"process {process.pid} writes to {output}: wait until it ends" in error
        assert "writes to" in error_of([*arguments, "--restart"], capsys)
        process.send_signal(signal.SIGKILL)
        process.wait()
    # the system has released the folder, although the lock file is there
    assert main(arguments) == 0
    assert main([*arguments[:-3], str(tmp_path / "whole"), *arguments[-2:]]) == 0
    same_files(output, tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_a_run_that_can_be_read_and_goes_on(
    tmp_path, arguments, built, output, number
):
    arguments += ["--overlay"]
    reset = {"preexec_fn": lambda: signal.signal(number, signal.SIG_DFL)}
    with start_slow(arguments, **reset) as process:
        wait_for_frames(output, 2, process)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 128 + number
    count = len(lines_of(output))
    assert f"stopped; {count} finished frames are saved in {output}; the same command res" in said
    assert ("interrupted" if number == signal.SIGINT else signal.Signals(number).name) in said
    assert 2 <= count < 5
    assert (summary(output)["complete"], summary(output)["frames"]) == (False, count)
    assert written(output) == NAMES[:count]
    assert len(read_video(output / "overlay.mp4")[0]) == count
    assert main(arguments) == 0
    assert len(read_video(output / "overlay.mp4")[0]) == 5


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda lines: [*lines, *lines[1:]], 5),
        (lambda lines: [*lines[:4], lines[2], *lines[4:]], 3),
        (lambda lines: [*lines[:4], *lines[3:]], 3),
        (lambda lines: [*lines[:3], b"\0" * 512 + b"\n", *lines[3:]], 2),
        (lambda lines: [*lines[:3], b"garbage\n", *lines[3:]], 2),
        (lambda lines: [*lines[:3], b"\n", *lines[3:]], 2),
        (lambda lines: [*lines[:3], b'[3, "\xff\xfe"]\n', *lines[3:]], 2),
        (lambda lines: [*lines[:3], b'[3, "9.png"]\n', *lines[4:]], 2),
        (lambda lines: [*lines[:3], b"{}\n", *lines[4:]], 2),
        (lambda lines: [*lines[:3], b"[" * 100_000 + b"\n", *lines[4:]], 2),
        (lambda lines: [*lines[:5], lines[5][:-9]], 4),
        (lambda lines: [*lines[:5], b"\0" * 200], 4),
        (lambda lines: [lines[0], b"garbage\n", *lines[2:]], 0),
    ],
)
def test_a_damaged_journal_counts_up_to_its_last_good_line(
    tmp_path, arguments, built, output, capsys, damage, kept
):
    assert main([*arguments[:-1], str(tmp_path / "whole")]) == 0
    assert main(arguments) == 0
    journal = output / "frames.jsonl"
    journal.write_bytes(b"".join(damage(journal.read_bytes().splitlines(keepends=True))))
    capsys.readouterr()
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert f"frames.jsonl is damaged after frame {kept}" in said
    assert (f"resuming after frame {kept}" in said) == (kept in range(1, 5))
    same_files(output, tmp_path / "whole")


def test_a_journal_that_lacks_a_line_is_refused(arguments, built, output, capsys):
    assert main(arguments) == 0
    (output / "summary.json").unlink()
    journal = output / "frames.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2] + lines[3:]))
    error = error_of(arguments, capsys)
    assert "frame 2 of" in error
    assert "--restart to replace them" in error
    assert main([*arguments, "--restart"]) == 2  # 5.png is in no line
    (output / "masks" / "5.png").unlink()
    assert main([*arguments, "--restart"]) == 0


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 300,
        b"\xff\xfe",
        b"[]",
        b'{"complete": true}',
        b'{"complete": true, "frames": 4}',
        b'{"complete": 1, "frames": 5}',
        b'{"complete": tr',
        b"[" * 100_000,
    ],
)
def test_a_damaged_summary_is_an_incomplete_run(arguments, built, output, damage, capsys):
    assert main(arguments) == 0
    whole = summary(output)
    (output / "summary.json").write_bytes(damage)
    assert main(arguments) == 0
    assert len(built.asked) == 2
    assert {**summary(output), "fps": 0} == {**whole, "fps": 0}


@pytest.mark.parametrize("damage", [None, b"", b"\0" * 100, b"cut"])
def test_a_damaged_label_map_comes_from_the_journal(started, built, output, damage, capsys):
    path = output / "masks" / "5.png"
    whole = path.read_bytes()
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(whole[:-5] if damage == b"cut" else damage)
    assert main(started) == 0
    assert "wrote 1 missing or damaged label maps" in capsys.readouterr().err
    assert path.read_bytes() == whole
    assert written(output) == NAMES


@pytest.mark.parametrize("damage", [None, b"", b"cut"])
def test_a_damaged_data_set_is_written_again(arguments, built, output, damage):
    assert main(arguments) == 0
    path = output / "masks.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5] if damage == b"cut" else damage or b"")
    if damage is None:
        path.unlink()
    assert main(arguments) == 0
    assert path.read_bytes() == whole
    assert len(built.asked) == 1


def test_an_overlay_without_all_frames_is_made_again(arguments, built, output):
    stopped([*arguments, "--overlay"], built)
    assert main(arguments) == 0
    assert len(read_video(output / "overlay.mp4")[0]) == 3
    for _ in range(2):
        assert main([*arguments, "--overlay"]) == 0
        assert len(read_video(output / "overlay.mp4")[0]) == 5
        assert len(built.asked) == 3
    (output / "overlay.mp4").write_bytes(b"")
    assert main([*arguments, "--overlay"]) == 0
    assert len(read_video(output / "overlay.mp4")[0]) == 5


def test_an_overlay_is_not_replaced_by_a_shorter_one(arguments, built, output, monkeypatch):
    stopped([*arguments, "--overlay"], built)
    built.make = lambda: Moving(KeyboardInterrupt(), fails_on=2)
    assert main([*arguments, "--overlay"]) == 130
    assert len(read_video(output / "overlay.mp4")[0]) == 3


@pytest.mark.parametrize(
    "damage", [b"garbage\n", b"[]\n", b"\0\0\n", b'[2, "5.png", [12, 20], [], []]\n']
)
def test_a_damaged_record_counts_up_to_its_last_good_line(arguments, built, output, damage):
    assert main([*arguments, "--record"]) == 0
    journal = output / "record" / "record.jsonl"
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:4], damage, *lines[4:]]))
    assert recorded(output) == NAMES[:3]
    assert main([*arguments, "--record"]) == 0
    assert journal.read_bytes() == whole


def test_real_frames_count_and_not_the_estimate(tmp_path, built, output, capsys):
    path = write_burst(tmp_path / "burst.mkv", 12)
    command = ["run", str(path), "--box", "4,8,6,6", "--output", str(output)]
    assert main([*command, "--object", "late@9=box:20,8,6,6"]) == 0
    said = capsys.readouterr().err
    assert "object late starts on frame 9, and the video seems to have only about 1" in said
    assert "\nframe 12, " in said
    assert len(lines_of(output)) == 12
    assert main([*command, "--start", "5", "--restart"]) == 0
    assert lines_of(output)[0][0] == 5
    error = error_of([*command, "--start", "13", "--restart"], capsys)
    assert "burst.mkv has no frame 13: its last frame is 12" in error


def test_an_object_behind_the_end_does_not_promise_to_go_on(tmp_path, built, output, capsys):
    path = write_burst(tmp_path / "burst.mkv", 6)
    command = ["run", str(path), "--box", "4,8,6,6", "--output", str(output)]
    assert main([*command, "--object", "late@9=box:20,8,6,6"]) == 2
    said = capsys.readouterr().err
    assert "stopped; 6 finished frames are saved" in said
    assert "resumes" not in said
    assert "mark it on an earlier frame, with --restart or another --output" in said


def test_what_is_said_of_restart_is_true(arguments, built, output, capsys):
    built.fails = KeyboardInterrupt()
    assert main([*arguments, "--restart"]) == 130
    assert "the same command without --restart resumes after them" in capsys.readouterr().err


def test_low_memory_keeps_what_is_done(arguments, built, output, capsys):
    built.fails = MemoryError("no memory")
    assert "too little memory" in error_of(arguments, capsys)
    assert (summary(output)["complete"], summary(output)["frames"]) == (False, 3)
    built.fails = None
    assert main(arguments) == 0
    np.testing.assert_array_equal(read_labels(output / "masks" / "1.png").shape, (HEIGHT, WIDTH))
