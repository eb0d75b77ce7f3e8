"""A run of the command line becomes a project, and goes on as one."""

import json

import numpy as np
import pytest

from hqtrack.app.adopted import adopt, video_of_run
from hqtrack.cli import main
from hqtrack.errors import InputError
from hqtrack.runs.objects import Numbered, Place
from hqtrack.video import read_labels, write_labels
from hqtrack.video.run_lengths import decode_mask
from tests.helpers.moving import Moving

SIZE = (24, 40)


@pytest.fixture(autouse=True)
def moving(monkeypatch):
    monkeypatch.setattr("hqtrack.build.build_tracker", lambda *given, **options: Moving())


@pytest.fixture
def run(clip, tmp_path):
    """Tracks with the command: a cat from frame 1 on, a dog from frame 3 on, corrected on 5."""

    def carry_out(*more):
        for name, left in (("cat", 4), ("dog", 20), ("moved", 30)):
            labels = np.zeros(SIZE, np.uint8)
            labels[2:7, left : left + 6] = 1
            write_labels(tmp_path / f"{name}.png", labels)
        words = ["run", clip, "--preset", "light", "--output", tmp_path / "project", "--object"]
        words += [f"{name}={tmp_path}/{file}.png" for name, file in (("cat@1", "cat"),)]
        words += [f"dog@3={tmp_path}/dog.png", f"dog@5={tmp_path}/moved.png", *more]
        assert main([str(word) for word in words]) == 0
        return tmp_path / "project"

    return carry_out


def columns(labels, number):
    found = np.flatnonzero((labels == number).any(axis=0))
    return (found[0], found[-1]) if len(found) else None


def shown(studio, frame):
    """First and last column of each object on a frame, by its number."""
    objects = studio.masks(frame)["objects"]
    masks = {each["number"]: decode_mask(each["mask"], *SIZE) for each in objects if each["mask"]}
    return {number: columns(mask, True) for number, mask in masks.items()}


def test_the_given_masks_are_those_of_the_finished_frames(run, clip):
    folder = run()
    assert video_of_run(folder) == str(clip)
    project, unknown = adopt(folder, str(clip))
    assert unknown == ()
    assert [(item.number, item.name) for item in project.items] == [(1, "cat"), (2, "dog")]
    assert [[given.frame for given in item.given] for item in project.items] == [[1], [3, 5]]
    assert columns(decode_mask(project.items[1].given[1].mask, *SIZE), True) == (30, 35)


def test_it_goes_on_from_a_correction_and_back_to_the_command(run, opened, capsys):
    folder = run()
    before = {frame: read_labels(folder / "masks" / f"{frame:08d}.png") for frame in range(1, 7)}
    with opened() as studio:
        state = studio.state()
        assert (state["tracked"], state["stale"], state["error"]) == (6, None, "")
        assert shown(studio, 6) == {1: (9, 14), 2: (31, 36)}
        box = {"number": 1, "left": 10, "top": 10, "right": 12, "bottom": 12}
        studio.change(0, {"kind": "box", "frame": 4, **box})
        studio.start(None)
        studio.wait()
        assert studio.state()["error"] == ""
        assert shown(studio, 6) == {1: (12, 14), 2: (31, 36)}
        command = studio.command()
    for frame in (1, 2, 3):
        after = read_labels(folder / "masks" / f"{frame:08d}.png")
        np.testing.assert_array_equal(after, before[frame])
    capsys.readouterr()
    assert main(command[1:]) == 0
    assert "6 frames are in" in capsys.readouterr().out
    assert main(["inspect", str(folder)]) == 0
    assert main(["export", str(folder), "--format", "csv"]) == 0


def test_what_is_given_on_frames_that_are_not_tracked_is_named(run, opened, clip):
    folder = run()
    lines = (folder / "frames.jsonl").read_text().splitlines(keepends=True)
    (folder / "frames.jsonl").write_text("".join(lines[:5]))
    project, unknown = adopt(folder, str(clip))
    assert [[given.frame for given in item.given] for item in project.items] == [[1], [3]]
    assert unknown == (Place(Numbered(2, "dog"), 5),)
    with opened() as studio:
        assert studio.state()["error"].endswith("mark again: dog on frame 5")
        assert studio.state()["tracked"] == 4


def test_a_run_that_was_made_anew_outside_takes_the_place_of_the_old_one(run, opened, capsys):
    folder = run()
    with opened() as studio:
        studio.change(0, {"kind": "rename", "number": 1, "name": "tom"})
    with opened() as studio:
        assert (studio.state()["error"], studio.state()["stale"]) == ("", None)
    run("fox@2=" + str(folder.parent / "moved.png"), "--restart")
    with opened() as studio:
        state = studio.state()
        assert "made anew outside of the application" in state["error"]
        assert [each["name"] for each in state["objects"]] == ["cat", "dog", "fox"]
        assert state["stale"] is None
        studio.change(0, {"kind": "undo"})
        assert [each["name"] for each in studio.state()["objects"]] == ["tom", "dog"]
        assert studio.state()["stale"] == 2


def test_what_cannot_become_a_project(run, opened, clip, tmp_path):
    assert adopt(tmp_path, str(clip)) is None
    assert video_of_run(tmp_path) is None
    folder = run()
    with pytest.raises(InputError, match=r"has a run of .*clip: give that video"):
        adopt(folder, "/another.mp4")
    journal = folder / "frames.jsonl"
    first, *lines = journal.read_text().splitlines(keepends=True)

    def change(**fields):
        heading = json.loads(first)
        heading["run"] |= fields
        journal.write_text("".join([json.dumps(heading) + "\n", *lines]))

    for name, value, words in (("every", 2, "--start 1 --every 2"), ("start", 3, "--start 3")):
        change(**{name: value})
        with pytest.raises(InputError, match=f"began with {words}.*, and the application"):
            opened()
    change(video="a.mp4 and 3 more")
    with pytest.raises(InputError, match="several files as its video"):
        video_of_run(folder)
    journal.write_text("{}\n" + "".join(lines))
    with pytest.raises(InputError, match="is not the journal of a run"):
        video_of_run(folder)
