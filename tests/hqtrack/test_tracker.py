"""HQTracker: what is asked of segmenter and refiner, in which order, and what is reported."""

from contextlib import contextmanager

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.memory import MemoryFrames
from hqtrack.refiner import Candidates
from hqtrack.segmenter import Segmented, VideoObjectSegmenter
from hqtrack.tracker import HQTracker
from tests.helpers.tiny_segmenter import CONFIG, rectangles, video
from tests.helpers.tiny_vmos import tiny_vmos

IMAGE = np.zeros((6, 10, 3), np.uint8)


def strip(*spans):
    """Masks [N,6,10], each covering the columns first..last-1 of row 2."""
    masks = np.zeros((len(spans), 6, 10), bool)
    for mask, (first, last) in zip(masks, spans, strict=True):
        mask[2, first:last] = True
    return masks


COARSE = strip((0, 4), (5, 9))
REFINED = strip((0, 3), (7, 9))
CONFIDENCE = np.array([0.9, 0.4], np.float32)


class Segmenter:
    """Notes what is asked of it; sees COARSE on every frame."""

    frames_read = (MemoryFrames((0,), 0),)

    def __init__(self, calls):
        self.calls = calls

    def add_reference(self, image, masks):
        self.calls.append(("add_reference", image, masks))

    def add_objects(self, image, masks):
        self.calls.append(("add_objects", image, masks))

    def correct(self, image, masks, objects):
        self.calls.append(("correct", image, masks, objects))

    def propagate(self, image):
        self.calls.append(("propagate", image))
        return Segmented(COARSE.copy(), CONFIDENCE)

    def memorize(self, *masks):
        self.calls.append(("memorize", *masks))


class Refiner:
    """Notes what is asked of it; proposes REFINED."""

    def __init__(self, calls):
        self.calls = calls

    def refine(self, image, masks):
        self.calls.append(("refine", image, masks))
        return Candidates(REFINED[:, None], np.full((2, 1), 0.8, np.float32))


@pytest.fixture
def calls():
    return []


def test_without_a_refiner_the_coarse_masks_are_reported(calls):
    tracked = HQTracker(Segmenter(calls)).track(IMAGE)
    np.testing.assert_array_equal(tracked.masks, COARSE)
    np.testing.assert_array_equal(tracked.confidence, CONFIDENCE)
    assert [call[0] for call in calls] == ["propagate", "memorize"]


def test_refined_masks_are_reported_and_coarse_ones_remembered(calls):
    tracked = HQTracker(Segmenter(calls), Refiner(calls)).track(IMAGE)
    np.testing.assert_array_equal(tracked.masks, REFINED)
    np.testing.assert_array_equal(tracked.confidence, CONFIDENCE)
    by_name = {name: arguments for name, *arguments in calls}
    assert list(by_name) == ["propagate", "refine", "memorize"]
    assert by_name["propagate"][0] is by_name["refine"][0] is IMAGE
    np.testing.assert_array_equal(by_name["refine"][1], COARSE)
    assert not by_name["memorize"], "those that the segmenter found"


@pytest.mark.parametrize(
    ("min_iou", "expected"),
    [
        pytest.param(0.0, REFINED, id="all pass"),
        pytest.param(0.6, np.stack([REFINED[0], COARSE[1]]), id="IoU 0.75 passes, 0.5 does not"),
        pytest.param(1.0, COARSE, id="none passes"),
    ],
)
def test_a_refined_mask_must_overlap_the_coarse_one(calls, min_iou, expected):
    tracked = HQTracker(Segmenter(calls), Refiner(calls), min_iou).track(IMAGE)
    np.testing.assert_array_equal(tracked.masks, expected)


def test_the_last_step_tells_how_the_masks_came_about(calls):
    tracker = HQTracker(Segmenter(calls), Refiner(calls), min_iou=0.6)
    tracker.initialize(IMAGE, strip((0, 2)))
    assert tracker.last is None
    tracked = tracker.track(IMAGE)
    coarse, refined, selection, memory = tracker.last
    np.testing.assert_array_equal(coarse, COARSE)
    np.testing.assert_array_equal(refined, REFINED)
    np.testing.assert_array_equal(selection.masks, tracked.masks)
    assert selection.refined.tolist() == [True, False]
    assert memory == Segmenter.frames_read


def test_the_last_step_stays_as_it_was():
    """Also when memory goes on, and when another video starts."""
    images = video(3)
    tracker = HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG))
    tracker.initialize(images[0], rectangles(2))
    tracker.track(images[1])
    step = tracker.last
    assert step.memory == (MemoryFrames((0,), 0),)
    tracker.add_objects(images[1], rectangles(1, seed=1))
    assert tracker.last is step
    tracker.track(images[2])
    assert tracker.last.memory == (MemoryFrames((0, 1), 1),)
    tracker.initialize(images[0], rectangles(2))
    assert tracker.last is None


def test_the_published_threshold_is_the_default(calls):
    assert HQTracker(Segmenter(calls)).min_iou == 0.1


def test_objects_are_handed_to_the_segmenter(calls):
    tracker = HQTracker(Segmenter(calls), Refiner(calls))
    first, later = strip((0, 2)), strip((4, 6), (7, 8))
    tracker.initialize(IMAGE, first)
    tracker.add_objects(IMAGE, later)
    tracker.correct(IMAGE, first, [2])
    assert [call[0] for call in calls] == ["add_reference", "add_objects", "correct"]
    assert calls[0][2] is first
    assert calls[1][2] is later
    assert calls[2][2] is first
    assert calls[2][3] == [2]


def test_all_work_on_a_frame_happens_within_the_lane(calls):
    @contextmanager
    def lane():
        calls.append(("enter",))
        yield
        calls.append(("leave",))

    tracker = HQTracker(Segmenter(calls), Refiner(calls), lane=lane)
    tracker.initialize(IMAGE, COARSE)
    tracker.track(IMAGE)
    tracker.add_objects(IMAGE, COARSE)
    tracker.correct(IMAGE, COARSE, [0, 1])
    names = " ".join(call[0] for call in calls)
    assert names == (
        "enter add_reference leave enter propagate refine memorize leave "
        "enter add_objects leave enter correct leave"
    )


def test_a_failing_refiner_leaves_memory_unwritten(calls):
    class Failing(Refiner):
        def refine(self, image, masks):
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        HQTracker(Segmenter(calls), Failing(calls)).track(IMAGE)
    assert [call[0] for call in calls] == ["propagate"]


def test_a_real_segmenter_tracks_adds_and_starts_again():
    tracker = HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG))
    images = video(4)
    with pytest.raises(InputError, match="first frame"):
        tracker.track(images[0])
    tracker.initialize(images[0], rectangles(2))
    first = tracker.track(images[1])
    tracker.add_objects(images[1], rectangles(2, seed=1))
    assert len(tracker.track(images[2]).masks) == 4
    tracker.initialize(images[0], rectangles(2))
    again = tracker.track(images[1])
    np.testing.assert_array_equal(again.masks, first.masks)
    np.testing.assert_array_equal(again.confidence, first.confidence)
