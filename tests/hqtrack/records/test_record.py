"""The record of a frame, and resuming after an interruption."""

import cv2
import numpy as np
import pytest

from hqtrack.errors import InputError, MissingFileError
from hqtrack.records.record import (
    Heading,
    Observed,
    Origin,
    Recorder,
    mask_origin,
    picture_path,
    read_heading,
    recorded_frames,
)
from hqtrack.refiner import Candidates
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.selection import Selection
from hqtrack.tracker import HQTracker, Step
from hqtrack.video.run_lengths import encode_mask
from tests.helpers.recorded import HEIGHT, OBJECTS, WIDTH, make_record, observed, square
from tests.helpers.tiny_segmenter import CONFIG, rectangles, video
from tests.helpers.tiny_vmos import tiny_vmos

HEADING = Heading("two squares", "a tracker", OBJECTS)


def lines(folder):
    return (folder / "record.jsonl").read_bytes().splitlines(keepends=True)


def test_a_frame_has_its_masks_and_numbers(tmp_path):
    frames = list(recorded_frames(make_record(tmp_path)))
    assert read_heading(tmp_path) == HEADING
    assert [frame.number for frame in frames] == list(range(1, 9))
    frame = frames[3]
    assert (frame.name, frame.size) == ("00000004.jpg", (HEIGHT, WIDTH))
    assert frame.memory == (((0,), 2),)
    dog, other = frame.objects
    assert dog[:4] == (3, Origin.REFINED, 400, 0.5)
    assert (dog.iou, dog.region, dog.boundary) == (0.8182, 0.6333, 0.75)
    assert dog.coarse == encode_mask(square(4))
    assert dog.refined == encode_mask(square(6))
    assert dog.chosen == encode_mask(square(6))
    assert dog.truth == encode_mask(square(4))
    assert (other.number, other.origin, other.confidence) == (7, Origin.COARSE, 0.25)
    picture = cv2.imread(str(picture_path(tmp_path, 4)))
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(picture.astype(int) - 40).max() <= 2


def test_an_object_is_given_on_its_first_frame_and_may_vanish(tmp_path):
    frames = list(recorded_frames(make_record(tmp_path)))
    origins = [[found.origin for found in frame.objects] for frame in frames]
    assert origins[0] == [Origin.GIVEN]
    assert origins[1] == [Origin.REFINED, Origin.GIVEN]
    assert origins[4] == [Origin.ABSENT, Origin.COARSE]
    given, absent = frames[1].objects[1], frames[4].objects[0]
    assert given.coarse is given.refined is given.iou is None
    assert (absent.area, absent.iou) == (0, None)
    assert absent.chosen == encode_mask(np.zeros((HEIGHT, WIDTH), bool))


def test_large_frames_are_made_smaller_with_their_masks(tmp_path):
    masks = np.zeros((1, 1000, 1536), bool)
    masks[0, 200:400, 100:500] = True
    image = np.zeros((1000, 1536, 3), np.uint8)
    with Recorder(tmp_path, HEADING) as recorder:
        recorder.write(Observed(1, "1.png", image, (3,), masks, np.ones(1, np.float32)))
    [frame] = recorded_frames(tmp_path)
    assert frame.size == (500, 768)
    assert cv2.imread(str(picture_path(tmp_path, 1))).shape == (500, 768, 3)
    assert frame.objects[0].area == 200 * 400
    assert frame.objects[0].chosen == encode_mask(masks[0, ::2, ::2])


@pytest.mark.parametrize(
    ("refined", "seen", "origin"),
    [
        (None, True, Origin.COARSE),
        (False, True, Origin.COARSE),
        (True, True, Origin.REFINED),
        (True, False, Origin.ABSENT),
    ],
)
def test_origins(refined, seen, origin):
    masks = square(3)[None]
    selection = None if refined is None else Selection(masks, np.array([refined]), np.ones(1, "f4"))
    assert mask_origin(Step(masks, masks, selection, ()), 0, seen) is origin


def test_the_mask_of_a_tracker_that_does_not_tell():
    assert mask_origin(None, 0, seen=True) is Origin.TRACKED
    assert mask_origin(None, 0, seen=False) is Origin.ABSENT


class Shifting:
    """A refiner that proposes the mask moved down by a row, and a worse one."""

    def refine(self, image, masks):
        candidates = np.stack([np.zeros_like(masks), np.roll(masks, 1, axis=1)], axis=1)
        return Candidates(candidates, np.tile(np.float32([0.1, 0.9]), (len(masks), 1)))


def test_the_tracker_tells_how_its_masks_came_about():
    tracker = HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG), Shifting())
    images, masks = video(6), rectangles(12)
    tracker.initialize(images[0], masks)
    assert tracker.last is None
    for image in images[1:]:
        tracked = tracker.track(image)
    step = tracker.last
    np.testing.assert_array_equal(step.refined, np.roll(step.coarse, 1, axis=1))
    np.testing.assert_array_equal(step.selection.masks, tracked.masks)
    groups = -(-12 // tiny_vmos().config.objects)
    # frame 5 reads the reference, frame 3 (a gap of 3) and, two frames back, frame 3
    assert step.memory == (((0, 3), 3),) * groups
    tracker.initialize(images[0], masks)
    assert tracker.last is None


def test_a_tracker_without_refiner_has_only_coarse_masks():
    tracker = HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG))
    images = video(2)
    tracker.initialize(images[0], rectangles(2))
    tracked = tracker.track(images[1])
    np.testing.assert_array_equal(tracker.last.coarse, tracked.masks)
    assert tracker.last.refined is tracker.last.selection is None


@pytest.mark.parametrize("cut", [1, 0])
def test_going_on_after_the_last_whole_line(tmp_path, cut):
    whole = make_record(tmp_path / "whole")
    parts = make_record(tmp_path / "parts", frames=5)
    journal = parts / "record.jsonl"
    journal.write_bytes(journal.read_bytes() + lines(whole)[6][: -1 - cut * 100])
    with Recorder(parts, HEADING, up_to=5) as recorder:
        assert recorder.last == 5
        for number in range(6, 9):
            recorder.write(observed(number))
    assert lines(parts) == lines(whole)


@pytest.mark.parametrize(
    ("heading", "up_to"), [(HEADING, 0), (Heading("else", "a tracker", OBJECTS), 9)]
)
def test_beginning_anew(tmp_path, heading, up_to):
    make_record(tmp_path)
    with Recorder(tmp_path, heading, up_to) as recorder:
        assert recorder.last == 0
    assert list(recorded_frames(tmp_path)) == []
    assert read_heading(tmp_path) == heading


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*record into another folder"):
        Recorder(tmp_path / "file" / "record", HEADING)


def test_what_is_no_record(tmp_path):
    with pytest.raises(MissingFileError, match=r"no record in .*hqtrack run \.\.\. --record"):
        read_heading(tmp_path)
    for text in ("", "notes\n", "[1]\n", '{"title": "a"}\n'):
        (tmp_path / "record.jsonl").write_text(text)
        with pytest.raises(InputError, match="is not a record, or has another version"):
            read_heading(tmp_path)
