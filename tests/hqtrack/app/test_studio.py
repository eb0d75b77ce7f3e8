"""An open project: saved at once, tracked in the background, corrected, reopened, exported."""

import shutil
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hqtrack.app.studio import Conflict
from hqtrack.baseline import FirstMask
from hqtrack.cli import main
from hqtrack.errors import InputError
from hqtrack.files import Journal
from hqtrack.records.record import read_heading, recorded_frames
from hqtrack.runs.choice import TrackerChoice
from hqtrack.runs.follower import Follower
from hqtrack.runs.plan import RunPlan
from hqtrack.runs.results import Results
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.tracker import HQTracker
from hqtrack.video import read_labels
from hqtrack.video.run_lengths import decode_mask
from tests.helpers.moving import Moving
from tests.helpers.tiny_segmenter import CONFIG
from tests.helpers.tiny_vmos import tiny_vmos
from tests.helpers.waiting import Waiting

BOX = {"left": 4, "top": 2, "right": 9, "bottom": 6}


def do(studio, kind, **action):
    return studio.change(studio.revision, {"kind": kind, **action})


def marked(studio):
    do(studio, "add", name="cat")
    do(studio, "box", number=1, frame=2, **BOX)
    return studio


def track(studio, to=None):
    studio.start(to)
    studio.wait()
    assert studio.error == ""


def columns(studio, frame, number=1):
    """First and last column of an object's mask on a frame; None if it is not seen."""
    masks = {each["number"]: each["mask"] for each in studio.masks(frame)["objects"]}
    if masks.get(number) is None:
        return None
    found = np.flatnonzero(decode_mask(masks[number], *studio.size).any(axis=0))
    return (found[0], found[-1]) if len(found) else None


def test_what_is_marked_is_tracked_and_shown(studio):
    track(marked(studio))
    assert [columns(studio, frame) for frame in range(1, 7)] == [
        None,
        (4, 9),
        (5, 10),
        (6, 11),
        (7, 12),
        (8, 13),
    ]
    state = studio.state()
    assert (state["tracked"], state["stale"], state["job"]) == (6, None, None)
    curves = studio.curves()
    assert curves["objects"]["1"]["confidence"] == [None, 1.0, 0.5, 0.5, 0.5, 0.5]
    assert curves["doubts"] == [{"frame": 3, "number": 1, "reason": "low confidence"}]


def test_a_correction_keeps_what_lies_before_and_tracks_on_from_there(studio):
    track(marked(studio))
    do(studio, "box", number=1, frame=4, left=20, top=2, right=25, bottom=6)
    assert studio.state()["stale"] == 4
    assert columns(studio, 4) == (20, 25)
    assert studio.masks(5)["stale"]
    with pytest.raises(InputError, match="masks have changed since"):
        studio.export(["csv"])
    track(studio)
    assert [columns(studio, frame) for frame in (3, 4, 5, 6)] == [
        (5, 10),
        (20, 25),
        (21, 26),
        (22, 27),
    ]
    do(studio, "undo")
    assert studio.state()["stale"] == 4
    track(studio)
    assert columns(studio, 6) == (8, 13)


def test_undo_before_tracking_on_needs_no_tracking(studio):
    track(marked(studio))
    do(studio, "gone", number=1, frame=4)
    do(studio, "undo")
    assert studio.state()["stale"] is None
    do(studio, "redo")
    assert studio.state()["stale"] == 4
    track(studio)
    assert [columns(studio, frame) for frame in (3, 4, 5)] == [(5, 10), None, None]


def test_to_a_frame_and_on(studio):
    marked(studio)
    track(studio, to=3)
    assert studio.state()["tracked"] == 3
    do(studio, "add")
    do(studio, "box", number=2, frame=5, left=30, top=10, right=33, bottom=12)
    assert studio.state()["stale"] is None
    track(studio)
    assert columns(studio, 6, number=2) == (31, 34)


def test_tracking_goes_on_from_a_saved_state_not_from_the_first_frame(opened, monkeypatch):
    """And gives what a project gives that was never stopped."""
    monkeypatch.setattr("hqtrack.app.follow._EVERY", 2)
    followed = []
    advance = Follower._advance
    monkeypatch.setattr(
        Follower,
        "_advance",
        lambda self, tracker, frame: followed.append(frame.number) or advance(self, tracker, frame),
    )

    def build(plan):
        return HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG))

    corrected = {"number": 1, "frame": 5, "left": 20, "top": 2, "right": 25, "bottom": 6}
    with opened(build) as studio:
        track(marked(studio), to=3)
        track(studio)
        assert followed == [1, 2, 3, 4, 5, 6]
        followed.clear()
        do(studio, "box", **corrected)
        track(studio)
        assert followed == [5, 6]
        masks = [studio.masks(frame)["objects"] for frame in range(1, 7)]
        for name in ("frames.jsonl", "masks.json", "summary.json"):
            (studio.folder / name).unlink()
        for name in ("masks", "record"):
            shutil.rmtree(studio.folder / name)
    with opened(build) as studio:
        track(studio)
        assert [studio.masks(frame)["objects"] for frame in range(1, 7)] == masks


def test_a_new_name_costs_nothing(studio):
    track(marked(studio))
    do(studio, "rename", number=1, name="dog")
    studio._build = None
    track(studio)
    assert studio.export(["csv"])[0].endswith("boxes.csv")
    assert ",dog," in (studio.folder / "export" / "boxes.csv").read_text()


def test_everything_is_there_again(opened):
    with opened() as studio:
        track(marked(studio), to=4)
        do(studio, "gone", number=1, frame=6)
        before = studio.state(), studio.curves(), studio.masks(4)
    with opened() as studio:
        after = studio.state(), studio.curves(), studio.masks(4)
        assert after[0]["can_undo"]
        before, after = (
            [{**each[0], "revision": 0, "serial": 0}, *each[1:]] for each in (before, after)
        )
        assert before == after
        track(studio)
        assert columns(studio, 5) == (7, 12)


def test_stopped_in_the_middle_and_continued(opened):
    tracker = Waiting()
    with opened(lambda plan: tracker) as studio:
        marked(studio)
        studio.start(None)
        with pytest.raises(InputError, match="stop it first"):
            studio.start(None)
        with pytest.raises(InputError, match="stop it first"):
            do(studio, "undo")
        with pytest.raises(InputError, match="stop it first"):
            studio.export(["csv"])
        studio.stop()
        for _ in range(9):
            tracker.go.release()
        studio.wait()
        assert 1 <= studio.state()["tracked"] <= 3
        assert studio.error == ""
    with opened() as studio:
        track(studio)
        assert columns(studio, 6) == (8, 13)


def test_the_page_sees_at_once_that_tracking_begins(studio, monkeypatch):
    """What it needs to know about networks takes long to load."""
    go = threading.Event()
    description = RunPlan.description.func

    def slow(plan):
        assert go.wait(60)
        return description(plan)

    monkeypatch.setattr(RunPlan, "description", property(slow))
    marked(studio)
    assert studio.start(None)["job"]["frame"] == 0
    assert studio.state()["job"]["replaying"]
    go.set()
    studio.wait()
    assert studio.state()["tracked"] == 6


def test_frames_that_were_tracked_otherwise_stay(opened):
    with opened() as studio:
        track(marked(studio))
    with opened() as studio:
        studio._setup = replace(studio._setup, exact=True)
        do(studio, "gone", number=1, frame=4)
        studio.start(None)
        studio.wait()
        assert (
            "were tracked otherwise (tracker: light, rules plus then, light, exact" in studio.error
        )
        assert studio.state()["tracked"] == 6
        do(studio, "undo")
        assert studio.state()["stale"] is None


def test_a_failure_is_told_and_what_is_done_stays(opened):
    with opened(lambda plan: Moving(fails=OSError("no space left"), fails_on=4)) as studio:
        marked(studio).start(None)
        studio.wait()
        assert studio.state()["error"] == "no space left"
        assert studio.state()["tracked"] == 4
    with opened() as studio:
        track(studio)
        assert columns(studio, 6) == (8, 13)


def test_a_full_disk_is_told_and_what_is_done_stays(opened, monkeypatch):
    """Also where not even the summary can be written."""
    whole, room = Journal.append, [4]

    def append(self, value):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        whole(self, value)

    def write_json(self, name, parts):
        raise OSError(28, "No space left on device")

    with opened() as studio:
        marked(studio)
        with monkeypatch.context() as full:
            full.setattr(Journal, "append", append)
            full.setattr(Results, "write_json", write_json)
            studio.start(None)
            studio.wait()
        assert "no space is left for" in studio.error
        assert "track on after the" in studio.error
        assert 1 <= studio.state()["tracked"] < 6
        track(studio)
        assert columns(studio, 6) == (8, 13)


def test_two_tabs_do_not_overwrite_each_other(studio):
    revision = studio.revision
    do(studio, "add", name="cat")
    with pytest.raises(Conflict, match="another tab"):
        studio.change(revision, {"kind": "add", "name": "dog"})
    assert [each["name"] for each in studio.state()["objects"]] == ["cat"]


def test_a_change_that_cannot_be_saved_is_none(studio, monkeypatch):
    def full(*given, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(InputError, match="No space left on device"):
        do(studio, "add")
    assert studio.state()["objects"] == []
    assert studio.revision == 0


def test_events_tell_of_changes_and_progress(studio):
    heard = []
    end = studio.listen(lambda name, content: heard.append((name, content)))
    track(marked(studio))
    end()
    do(studio, "undo")
    names = [name for name, _ in heard]
    assert names[:3] == ["state", "state", "state"]
    assert "progress" in names
    assert names[-1] == "state"
    assert heard[-1][1]["tracked"] == 6


def test_nothing_to_track_and_an_empty_first_mask(studio):
    with pytest.raises(InputError, match="nothing to track yet"):
        studio.start(None)
    do(studio, "add")
    do(studio, "gone", number=1, frame=2)
    with pytest.raises(InputError, match="empty mask on frame 2, its first"):
        studio.start(None)
    with pytest.raises(InputError, match="no frame 9"):
        studio.start(9)


def test_the_folder_is_that_of_one_project_in_one_process(opened, studio, clip, tmp_path):
    with pytest.raises(InputError, match="process"), opened():
        pass
    do(studio, "add")
    for path in clip.iterdir():
        picture = cv2.imread(str(path))
        (tmp_path / "other").mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "other" / path.name), picture)
    source = replace(studio.frames.source, address=str(tmp_path / "other"))
    with pytest.raises(InputError, match=r"is the project of .*clip"):
        type(studio)(studio.folder, source, studio._setup, studio.prompter)
    (studio.folder / "project.json").write_text("{}")
    with pytest.raises(InputError, match=r"project\.json is damaged"):
        opened()


def test_the_command_goes_on_and_inspect_shows_it(opened, monkeypatch, capsys):
    """The same steps on the command line give the same masks."""
    monkeypatch.setattr("hqtrack.build.build_tracker", lambda *given, **options: Moving())
    with opened() as studio:
        marked(studio)
        do(studio, "gone", number=1, frame=5)
        track(studio, to=4)
        command = studio.command()
    assert command[:2] == ["hqtrack", "run"]
    assert main(command[1:]) == 0
    assert "frame 6 of 6" in capsys.readouterr().err
    with opened() as studio:
        assert studio.state()["tracked"] == 6
        assert [columns(studio, frame) for frame in (4, 5, 6)] == [(6, 11), None, None]
        folder = studio.folder
    anew = [*command[1:], "--output", str(folder.parent / "anew")]
    assert main(anew) == 0
    for name in (f"{number:08d}.png" for number in range(1, 7)):
        ours = read_labels(folder / "masks" / name)
        np.testing.assert_array_equal(read_labels(folder.parent / "anew" / "masks" / name), ours)
    assert read_heading(folder / "record").objects == {1: "cat"}
    assert len(list(recorded_frames(folder / "record"))) == 6


def test_the_command_has_the_options_of_the_tracker(studio, tmp_path):
    choice = TrackerChoice("light", "light")
    options = {"device": "cpu", "weights": tmp_path, "exact": True, "rules": "published"}
    studio._setup = replace(studio._setup, choice=choice, **options)
    words = " ".join(marked(studio).command())
    given = f"--device cpu --weights {tmp_path} --refiner light --exact --rules published --object"
    assert given in words


def test_a_mask_from_a_file(studio):
    do(studio, "add")
    mask = np.zeros(studio.size, bool)
    mask[3:6, 10:14] = True
    studio.give_mask(studio.revision, 1, 1, mask)
    assert columns(studio, 1) == (10, 13)


def test_pictures_are_jpegs_of_bounded_size(opened, monkeypatch):
    monkeypatch.setattr("hqtrack.app.studio._LONGEST_EDGE", 20)
    with opened(lambda plan: FirstMask()) as studio:
        picture = cv2.imdecode(np.frombuffer(studio.picture(3), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (12, 20, 3)
    assert abs(int(picture[5, 5, 0]) - 90) < 4
