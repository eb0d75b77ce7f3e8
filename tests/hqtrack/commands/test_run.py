"""``hqtrack run``, with a tracker that only moves the masks it was given."""

import errno
import itertools
import json
import os
import pydoc
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.cli import main
from hqtrack.records.record import recorded_frames
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.tracker import HQTracker
from hqtrack.video import read_image, read_labels, write_labels, write_sequence
from tests.helpers.camera import FakeCamera
from tests.helpers.moving import Moving
from tests.helpers.run_command import (
    HEIGHT,
    NAMES,
    WIDTH,
    error_of,
    output_of,
    recorded,
    same_files,
    summary,
    written,
)
from tests.helpers.tiny_segmenter import CONFIG
from tests.helpers.tiny_vmos import tiny_vmos
from tests.helpers.video_files import (
    pictures,
    read_video,
    write_at,
    write_damaged,
    write_video,
)


def test_writes_label_maps_run_lengths_and_a_summary(output, arguments, built, labels, capsys):
    assert main(arguments) == 0
    assert sorted(path.name for path in output.iterdir()) == [
        "frames.jsonl",
        "masks",
        "masks.json",
        "summary.json",
    ]
    assert written(output) == NAMES
    for step, name in enumerate(NAMES):
        found = read_labels(output / "masks" / name)
        np.testing.assert_array_equal(found, np.roll(labels, step, axis=1))
    images = json.loads((output / "masks.json").read_text())["images"]
    assert [image["file_name"] for image in images] == NAMES
    found = summary(output)
    assert (found["complete"], found["frames"]) == (True, 5)
    assert [(one["number"], one["frames_seen"]) for one in found["objects"]] == [(3, 5), (300, 5)]
    printed = capsys.readouterr()
    assert "300" in printed.out
    assert f"5 frames are in {output}" in printed.out
    assert "using the light tracker" in printed.err
    assert built.asked == [("light", {"device": None, "weights": None})]


def test_options_reach_the_tracker(tmp_path, arguments, built):
    for name in ("save_step_42000.pth", "sam_hq_vit_h.pth"):
        (tmp_path / name).write_bytes(b"weights")
    options = ["--preset", "full", "--device", "cpu", "--weights", str(tmp_path), "--exact"]
    options += ["--rules", "plus"]
    assert main([*arguments, *options]) == 0
    [(preset, given)] = built.asked
    assert given.pop("exact")
    assert given.pop("rules") == "plus"
    assert preset == "full"
    assert given == {"device": "cpu", "weights": tmp_path, "refiner": "vit_h"}


def test_the_output_is_called_like_the_video(tmp_path, arguments, built, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments[:-2]) == 0
    assert written(tmp_path / "tracked" / "images") == NAMES


def test_a_video_file_with_overlay_start_and_every(tmp_path, built, output, capsys):
    path = write_video(tmp_path / "clip.mp4", pictures(9), rate=10)
    options = ["--box", "4,8,6,6", "20,8,6,6", "--start", "2", "--every", "3", "--overlay"]
    assert main(["run", str(path), *options, "--output", str(output)]) == 0
    names = sorted(path.name for path in (output / "masks").iterdir())
    assert names == ["00000002.png", "00000005.png", "00000008.png"]
    assert np.unique(read_labels(output / "masks" / names[2])).tolist() == [0, 1, 2]
    shown, seconds = read_video(output / "overlay.mp4")
    assert seconds == pytest.approx([0.0, 0.3, 0.6])
    assert shown[0].shape == (32, 48, 3)
    assert "HQ-SAM light makes the first masks" in capsys.readouterr().err
    assert summary(output)["run"]["first_masks"] == "HQ-SAM light"


def test_a_damaged_frame_is_marked(tmp_path, built, output, capsys):
    path = write_damaged(tmp_path / "clip.avi", pictures(6), [3])
    command = ["run", str(path), "--box", "4,8,6,6", "--output", str(output), "--overlay"]
    for _ in range(2):
        assert main(command) == 0
        assert "the video is damaged at frame 3" in capsys.readouterr().err
    assert summary(output)["damaged_frames"] == [3]
    assert len(list((output / "masks").iterdir())) == 6
    lines = (output / "frames.jsonl").read_text().splitlines()[1:]
    assert [json.loads(line)[-1] for line in lines] == [n == 3 for n in range(1, 7)]
    assert len(read_video(output / "overlay.mp4")[0]) == 6


@pytest.mark.parametrize("resumed", [False, True])
def test_the_overlay_keeps_the_times_of_the_frames(tmp_path, built, output, resumed):
    path = write_at(tmp_path / "clip.mp4", pictures(6), [0, 4, 8, 150, 153, 300])
    command = ["run", str(path), "--box", "4,8,6,6", "--output", str(output), "--overlay"]
    if resumed:
        built.fails = KeyboardInterrupt()
        assert main(command) == 130
        built.fails = None
    assert main(command) == 0
    seconds = read_video(output / "overlay.mp4")[1]
    assert seconds == pytest.approx([0, 0.04, 0.08, 1.5, 1.53, 3])


def test_a_sequence_without_a_prompt_proposes_its_first_mask(tmp_path, labels, built, capsys):
    write_sequence(tmp_path / "cat", [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 2, [labels] * 2)
    error = error_of(["run", str(tmp_path / "cat")], capsys)
    assert f"give --mask {tmp_path / 'cat' / 'masks' / '00000001.png'}, --box" in error
    mask = error.split("--mask ")[1].split(",")[0]
    output = str(tmp_path / "out")
    assert main(["run", str(tmp_path / "cat"), "--mask", mask, "--output", output]) == 0
    assert summary(tmp_path / "out")["frames"] == 2


def test_objects_that_start_later(tmp_path, arguments, built, output, labels):
    ball = f"300@3={tmp_path / 'first.png'}"
    arguments[2:4] = ["--box", "10,1,4,3", "--object", ball, "red@5=box:1,1,5,5"]
    assert main(arguments) == 0
    found = [np.unique(read_labels(output / "masks" / name)).tolist() for name in NAMES]
    assert found == [[0, 1], [0, 1], [0, 1, 300], [0, 1, 300], [0, 1, 300, 301]]
    starts = [(one["name"], one["first_frame"]) for one in summary(output)["objects"]]
    assert starts == [("1", 1), ("300", 3), ("red", 5)]


def test_an_object_given_again_is_corrected_and_what_lies_before_stays(
    tmp_path, arguments, built, output, capsys
):
    """The corrected run goes on in the folder of the first one, and is as if given at once."""
    assert main([*arguments, "--record"]) == 0
    before = {name: read_labels(output / "masks" / name) for name in NAMES}
    corrected = [*arguments, "--record", "--object", "300@3=box:12,1,4,3", "3@5=gone"]
    assert main(corrected) == 0
    assert "3 finished frames from there on are tracked again" in capsys.readouterr().err
    after = {name: read_labels(output / "masks" / name) for name in NAMES}
    for name in NAMES[:2]:
        np.testing.assert_array_equal(after[name], before[name])
    expected = before[NAMES[2]] * (before[NAMES[2]] == 3)
    expected[1:4, 12:16] = 300
    np.testing.assert_array_equal(after[NAMES[2]], expected)
    np.testing.assert_array_equal(after[NAMES[3]] == 300, np.roll(expected == 300, 1, axis=1))
    assert np.unique(after[NAMES[4]]).tolist() == [0, 300]
    assert main([*corrected[:-4], *corrected[-3:], "--output", str(tmp_path / "at once")]) == 0
    for name in NAMES:
        at_once = read_labels(tmp_path / "at once" / "masks" / name)
        np.testing.assert_array_equal(at_once, after[name])
    origins = [
        {found.number: found.origin.value for found in frame.objects}
        for frame in recorded_frames(output / "record")
    ]
    tracked = {3: "tracker", 300: "tracker"}
    assert origins[1:] == [
        tracked,
        {3: "tracker", 300: "given"},
        tracked,
        {3: "given", 300: "tracker"},
    ]


def test_an_interrupted_run_goes_on_and_gives_the_same(tmp_path, arguments, built, output, capsys):
    assert main([*arguments[:-1], str(tmp_path / "whole"), "--overlay"]) == 0
    built.fails = KeyboardInterrupt()
    assert main([*arguments, "--overlay"]) == 130
    said = capsys.readouterr().err
    assert "stopped; 3 finished frames are saved in" in said
    assert "the same command resumes" in said
    assert written(output) == NAMES[:3]
    assert summary(output)["complete"] is False
    assert len(json.loads((output / "masks.json").read_text())["images"]) == 3
    assert len(read_video(output / "overlay.mp4")[0]) == 3
    built.fails = None
    assert main([*arguments, "--overlay"]) == 0
    assert "resuming after frame 3" in capsys.readouterr().err
    same_files(output, tmp_path / "whole")
    resumed, whole = (read_video(d / "overlay.mp4")[0] for d in (output, tmp_path / "whole"))
    np.testing.assert_array_equal(resumed, whole)


def test_a_tracker_with_memory_goes_on_exactly(tmp_path, built, capsys):
    """A real segmenter; frames are stored as they come and a later object joins in between."""
    folder, rng = tmp_path / "images", np.random.default_rng(0)
    folder.mkdir()
    for number in range(1, 10):
        noise = rng.integers(0, 256, (41, 57, 3), np.uint8)
        PillowImage.fromarray(noise).save(folder / f"{number}.png")
    built.make = lambda: HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG))
    command = ["run", str(folder), "--box", "3,3,20,15", "--object", "late@4=box:30,20,15,15"]
    assert main([*command, "--output", str(tmp_path / "whole")]) == 0
    damaged, whole = folder / "7.png", (folder / "7.png").read_bytes()
    damaged.write_bytes(b"")
    assert main([*command, "--output", str(tmp_path / "parts")]) == 2
    damaged.write_bytes(whole)
    assert main([*command, "--output", str(tmp_path / "parts")]) == 0
    assert summary(tmp_path / "parts")["objects"][1]["frames"] == 6
    same_files(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_is_not_tracked_again(arguments, built, output, capsys):
    assert main(arguments) == 0
    built.asked.clear()
    assert main(arguments) == 0
    assert built.asked == []
    assert "300" in capsys.readouterr().out
    assert main([*arguments, "--overlay"]) == 0
    assert len(read_video(output / "overlay.mp4")[0]) == 5


def test_a_record_goes_on_where_it_was_stopped(tmp_path, arguments, built, output, capsys):
    assert main([*arguments[:-1], str(tmp_path / "whole"), "--record"]) == 0
    assert f"hqtrack inspect {tmp_path / 'whole'}" in capsys.readouterr().out
    built.fails = KeyboardInterrupt()
    assert main([*arguments, "--record"]) == 130
    assert recorded(output) == NAMES[:3]
    built.fails = None
    assert main([*arguments, "--record"]) == 0
    journals = (folder / "record" / "record.jsonl" for folder in (output, tmp_path / "whole"))
    assert len({journal.read_text() for journal in journals}) == 1


def test_frames_that_lack_only_in_the_record_are_tracked_once_more(arguments, built, output):
    built.fails = KeyboardInterrupt()
    assert main([*arguments, "--record"]) == 130
    built.fails = None
    assert main(arguments) == 0
    done = (output / "frames.jsonl").read_text()
    assert main([*arguments, "--record"]) == 0
    assert recorded(output) == NAMES
    assert (output / "frames.jsonl").read_text() == done
    assert len(built.asked) == 3
    assert main([*arguments, "--record"]) == 0
    assert len(built.asked) == 3


def test_masks_in_several_files(tmp_path, arguments, built, output, labels, capsys):
    write_labels(tmp_path / "a.png", np.where(labels == 3, 1, 0))
    write_labels(tmp_path / "b.png", np.where(np.roll(labels, 2, axis=1) == 3, 1, 0))
    arguments[2:4] = ["--mask", str(tmp_path / "a.png"), "--mask", str(tmp_path / "b.png")]
    assert main(arguments) == 0
    found = read_labels(output / "masks" / NAMES[0])
    second = np.roll(labels, 2, axis=1) == 3
    np.testing.assert_array_equal(found, np.where(second, 2, labels == 3))
    said = capsys.readouterr().err
    assert f"object 1 of {tmp_path / 'b.png'} is object 2 of this run" in said
    assert "objects 1 and 2 overlap in 6 pixels" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (["--box", "-2,1,9,5"], "box:-2,1,9,5"),
        (["--box=-2,1,9,5"], "box:-2,1,9,5"),
        (["--box", "1,1,3,3", "-.5,1,9,5"], "box:-0.5,1,9,5"),
        (["--object", "a@1=box:-2,-1,9,5"], "box:-2,-1,9,5"),
    ],
)
def test_prompts_that_begin_with_a_minus(arguments, built, output, option, value):
    arguments[2:4] = option
    assert main(arguments) == 0
    assert value in summary(output)["run"]["objects"][-1]


def test_a_point_that_begins_with_a_minus_lies_beside_the_object(arguments, built, output, capsys):
    arguments[2:4] = ["--point", "-3,4"]
    assert "'-3,4' has no point on the object" in error_of(arguments, capsys)
    arguments[2:4] = ["--point", "-3,4,30,4"]
    assert "object 1: point:-3,4,30,4 is outside the frame" in error_of(arguments, capsys)
    arguments[2:4] = ["--point", "-3,4,12,6"]
    assert main(arguments) == 0
    assert "point:-3,4,12,6" in summary(output)["run"]["objects"][-1]
    assert not read_labels(output / "masks" / NAMES[0])[4, 3]


def test_a_preview_writes_the_first_masks_and_stops(arguments, built, output, capsys):
    arguments[2:4] = ["--box", "4,3,5,6", "--object", "late@3=box:1,1,3,3"]
    for _ in range(2):
        assert main([*arguments, "--preview"]) == 0
    assert built.asked == []
    assert not output.exists()
    labels, picture = (output.with_name(f"deep.preview{end}") for end in (".png", ".jpg"))
    assert capsys.readouterr().out.splitlines()[-2:] == [str(labels), str(picture)]
    expected = np.zeros((HEIGHT, WIDTH), np.int32)
    expected[3:9, 4:9] = 1
    np.testing.assert_array_equal(read_labels(labels), expected)
    assert read_image(picture).shape == (HEIGHT, WIDTH, 3)
    arguments[2:4] = ["--mask", str(labels)]
    assert main(arguments) == 0


def test_a_preview_of_no_object_is_refused(arguments, built, capsys):
    arguments[2:4] = ["--object", "late@3=box:1,1,3,3"]
    assert "no object starts on frame 1: give" in error_of([*arguments, "--preview"], capsys)


def test_a_refiner_reaches_the_tracker(arguments, built, output):
    assert main([*arguments, "--preset", "light", "--refiner", "light"]) == 0
    [(preset, given)] = built.asked
    assert (preset, given["refiner"]) == ("light", "light")
    assert summary(output)["run"]["tracker"] == "light (HQ-SAM light), rules plus"


def test_a_box_that_looks_like_two_corners(arguments, built, capsys):
    arguments[2:4] = ["--box", "12,4,18,10"]
    assert main(arguments) == 0
    said = capsys.readouterr().err
    assert "took columns 12 to 19, rows 4 to 11; if 12,4,18,10 are two corners" in said
    assert "give X,Y,W,H: 12,4,6,6" in said


def test_later_masks_are_checked_before_the_first_frame(tmp_path, arguments, built, output, capsys):
    write_labels(tmp_path / "late.png", np.ones((5, 5), np.int32))
    late = ["--object", f"b@4={tmp_path / 'late.png'}"]
    assert "late.png is 5x5 and the image is 20x12" in error_of([*arguments, *late], capsys)
    assert written(output) == []


def test_void_is_said_and_not_tracked(tmp_path, arguments, built, output, capsys, labels):
    drawn = np.where(labels == 3, 1, 0).astype(np.uint8)
    drawn[8:, :4] = 255
    PillowImage.fromarray(drawn).save(tmp_path / "first.png")
    assert main(arguments) == 0
    assert "first.png: 255 is void, 16 pixels" in capsys.readouterr().err
    assert [one["number"] for one in summary(output)["objects"]] == [1]


def test_an_object_255_is_kept_when_a_run_goes_on(tmp_path, arguments, built, output, labels):
    arguments[2:4] = ["--object", "255@1=box:2,2,4,3"]
    built.fails = KeyboardInterrupt()
    assert main([*arguments, "--record"]) == 130
    built.fails = None
    assert main([*arguments, "--record", "--overlay"]) == 0
    shown, _ = read_video(output / "overlay.mp4")
    assert shown[0].max() > 60


def test_other_arguments_are_another_run(tmp_path, arguments, built, capsys, labels):
    assert main(arguments) == 0
    error = error_of([*arguments, "--every", "2"], capsys)
    assert "contains another run (every: 1 then, 2 now): give another --output, or --r" in error
    exact = error_of([*arguments, "--exact"], capsys)
    assert "tracker: light, rules plus then, light, exact, rules plus now" in exact
    other = error_of([*arguments, "--rules", "published"], capsys)
    assert "tracker: light, rules plus then, light now" in other
    write_labels(tmp_path / "first.png", np.roll(labels, 1, axis=0))
    error = error_of(arguments, capsys)
    assert "contains another run (objects: 3 (3) from the first frame: object 3 of mask" in error
    assert main([*arguments, "--restart"]) == 0
    assert summary(output_of(arguments))["frames"] == 5


def test_other_weights_are_another_run(tmp_path, arguments, built, capsys):
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "light.safetensors").write_bytes(b"one")
    arguments += ["--preset", "light", "--weights", str(folder)]
    built.fails = KeyboardInterrupt()
    assert main(arguments) == 130
    (folder / "light.safetensors").write_bytes(b"two")
    built.fails = None
    assert "contains another run (weights: {'light.safetensors': " in error_of(arguments, capsys)
    assert main([*arguments, "--restart"]) == 0


def test_a_camera_is_followed_to_its_end_but_not_taken_up_again(built, output, monkeypatch, capsys):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    command = ["run", "0", "--box", "1,1,3,2", "--output", str(output)]
    assert "camera 0 stopped after 3 frames" in error_of(command, capsys)
    stored = [path.name for path in (output / "masks").iterdir()]
    assert "00000003.png" in stored
    assert summary(output)["frames"] == len(stored)
    assert "a live video cannot be resumed" in error_of(command, capsys)


def test_what_is_done_is_kept_when_an_image_is_bad(tmp_path, arguments, built, output, capsys):
    (tmp_path / "images" / "9.png").write_bytes(b"no image")
    assert "9.png" in error_of(arguments, capsys)
    assert written(output) == NAMES[:2]
    PillowImage.new("RGB", (WIDTH, 5)).save(tmp_path / "images" / "9.png")
    error = error_of(arguments, capsys)
    assert "9.png is 20x5 but the video started with 20x12" in error


@pytest.mark.parametrize(
    ("function", "on_call", "kept"),
    [
        ("hqtrack.runs.results.write_labels", 3, 2),
        ("hqtrack.runs.results.encode_mask", 5, 2),
        ("hqtrack.files.os.replace", 6, 5),
    ],
)
def test_a_full_disk(arguments, built, output, capsys, monkeypatch, function, on_call, kept):
    """In the middle of a label map, between it and the journal, and at the very end."""
    original = pydoc.locate(function)
    calls = itertools.count(1)

    def failing(*given):
        if next(calls) == on_call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*given)

    monkeypatch.setattr(function, failing)
    error = error_of(arguments, capsys)
    assert f"no space is left for {output}: free some, then the same command resumes" in error
    assert f"after the {kept} finished frames" in error
    assert main(arguments) == 0
    assert written(output) == NAMES
    assert summary(output)["complete"] is True


def test_the_mask_file_is_not_needed_once_the_run_has_started(tmp_path, arguments, built, output):
    def make():
        (tmp_path / "first.png").unlink()
        return Moving(None)

    built.make = make
    assert main(arguments) == 0
    assert written(output) == NAMES


def test_a_mask_of_the_wrong_size_is_mended_and_run(tmp_path, arguments, built, capsys, labels):
    write_labels(tmp_path / "first.png", np.ones((WIDTH, HEIGHT), np.int32))
    assert "first.png is 12x20 and the image is 20x12" in error_of(arguments, capsys)
    write_labels(tmp_path / "first.png", labels)
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--box", "1,2,3"], "'1,2,3' is not a box"),
        (["--box", "30,2,3,3"], "box:30,2,3,3 is outside the frame, which is 20x12 pixels"),
        (["--point", "1,2,3"], "'1,2,3' is not a point"),
        (["--object", "a@9=box:1,1,2,2"], "a starts on frame 9, and the video has 5"),
        (["--object", "a@2=box:1,1,2,2", "--every", "2"], "skips"),
        (["--box", "1,1,3,3", "--start", "6"], "images has no frame 6: its last frame is 5"),
        (["--box", "1,1,3,3", "--every", "0"], "--start and --every count from 1"),
        ([], "no object to track"),
    ],
)
def test_bad_prompts_and_numbers(arguments, built, capsys, options, message):
    assert message in error_of([*arguments[:2], *arguments[4:], *options], capsys)


def test_an_object_after_the_end_of_a_video_of_unknown_length(
    arguments, built, output, capsys, monkeypatch
):
    monkeypatch.setattr("hqtrack.video.sources.Images.total", 5)
    monkeypatch.setattr("hqtrack.commands.run.check_starts", lambda *given: None)
    error = error_of([*arguments, "--object", "a@9=box:1,1,2,2"], capsys)
    assert "object a is given on frame 9, and the video ended after 5" in error
    assert written(output) == NAMES


def test_a_text_file_named_mp4(tmp_path, arguments, built, capsys):
    (tmp_path / "notes.mp4").write_text("notes\n" * 99)
    arguments[1] = str(tmp_path / "notes.mp4")
    assert "notes.mp4 is not a video, or it is damaged" in error_of(arguments, capsys)
    assert built.asked == []


def test_no_such_file(tmp_path, arguments, built, capsys):
    arguments[1] = str(tmp_path / "nothing.mp4")
    assert "there is no file or folder" in error_of(arguments, capsys)
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written(tmp_path, arguments, built, capsys):
    (tmp_path / "out").write_text("a file where the folder should be")
    assert "give another --output" in error_of(arguments, capsys)
    assert built.asked == []


def test_masks_that_are_there_are_never_written_over(tmp_path, arguments, built, capsys, labels):
    """The layout of data sets has the true masks where the output would have its own."""
    (tmp_path / "out" / "deep" / "masks").mkdir(parents=True)
    write_labels(tmp_path / "out" / "deep" / "masks" / "1.png", labels)
    error = error_of(arguments, capsys)
    assert "masks contains files that are not from a run (1.png): give another --output" in error
    assert "files that are not from a run" in error_of([*arguments, "--restart"], capsys)


def test_a_mask_file_among_the_images_is_no_frame(tmp_path, arguments, built, labels, output):
    write_labels(tmp_path / "images" / "0.png", labels)
    arguments[arguments.index("--mask") + 1] = str(tmp_path / "images" / "0.png")
    assert main(arguments) == 0
    assert written(output) == NAMES


def test_our_own_mistakes_keep_their_traceback_and_what_is_done(arguments, built, output):
    built.fails = TypeError("ours")
    with pytest.raises(TypeError, match="ours"):
        main(arguments)
    assert written(output) == NAMES[:3]


PROGRAM = """
import sys, hqtrack.build
sys.path.insert(0, sys.argv.pop(1))
from tests.helpers.camera import FakeCamera
from tests.helpers.moving import Moving
hqtrack.build.build_tracker = lambda *given, **options: Moving()
from hqtrack.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_output_that_is_no_terminal_is_plain_lines(arguments, tmp_path):
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, root, *arguments, "--preset", "light"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "40"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("frame 5 of 5, ")
    assert "\x1b" not in done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 40
