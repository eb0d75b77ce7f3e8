"""The clock of the stages, on a time that passes only where a test lets it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from hqtrack import decoding, memory_writer, refiner, segmenter, tracker
from hqtrack.baseline import FirstMask
from hqtrack.files import Journal
from hqtrack.refiner import MaskRefiner
from hqtrack.stages import Stage, StageClock, is_timed, stage, timing
from hqtrack.tracker import HQTracker
from hqtrack.vot import region_text, session
from hqtrack.vot.trace import Trace, TraceReader
from tests.helpers.fake_server import IMAGE, ONE, FakeServer, request
from tests.helpers.tiny_hqsam import tiny_hqsam
from tests.helpers.tiny_segmenter import CONFIG, VideoObjectSegmenter, rectangles, video
from tests.helpers.tiny_vmos import tiny_vmos


class Time:
    """Passes only while work is done."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> StageClock:
        return StageClock(now=lambda: self.now)

    def work(self, seconds: float) -> None:
        self.now += seconds

    def slow(
        self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, seconds: float
    ) -> None:
        """Let each call of this function or method take so long."""
        function: Callable[..., Any] = getattr(owner, name)

        def taking(*args: Any, **kwargs: Any) -> Any:
            self.work(seconds)
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, taking)


def spent(clock: StageClock) -> dict[Stage, float]:
    return {stage: seconds for stage, seconds in clock.take().items() if seconds}


def test_inner_stages_do_not_count_for_outer_ones() -> None:
    time = Time()
    clock = time.clock()
    with timing(clock), stage(Stage.PROPAGATE):
        time.work(1)
        with stage(Stage.ENCODE):
            time.work(2)
        time.work(4)
    time.work(8)
    assert spent(clock) == {Stage.PROPAGATE: 5, Stage.ENCODE: 2}
    assert spent(clock) == {}


def test_without_a_clock_nothing_is_timed() -> None:
    time = Time()
    clock = time.clock()
    with timing(clock):
        assert is_timed()
    assert not is_timed()
    with stage(Stage.ENCODE):
        time.work(1)
    assert spent(clock) == {}


def test_the_device_is_waited_for_at_each_border() -> None:
    calls = []
    clock = StageClock(lambda: calls.append(1))
    with pytest.raises(KeyError), timing(clock), stage(Stage.SELECT):
        raise KeyError
    assert len(calls) == 2
    assert not is_timed()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def slow_tracker(time: Time, monkeypatch: pytest.MonkeyPatch) -> HQTracker:
    """A tracker with two groups of objects, whose parts take times that no sum confuses."""
    vmos, hqsam = tiny_vmos(), tiny_hqsam()
    for owner, name, seconds in (
        (segmenter, "prepare_frame", 1),
        (vmos, "encode", 10),
        (vmos, "reference", 100),
        (vmos, "propagate", 1_000),
        (vmos, "memorize", 10_000),
        (decoding, "decode_labels", 3),
        (memory_writer, "prepare_labels", 40),
        (segmenter, "masks_to_labels", 500),
        (hqsam, "embed", 1),
        (hqsam, "predict", 2),
        (refiner, "mask_boxes", 30),
        (tracker, "select_masks", 7),
    ):
        time.slow(monkeypatch, owner, name, seconds)
    return HQTracker(VideoObjectSegmenter(vmos, CONFIG), MaskRefiner(hqsam), ahead=True)


def test_every_part_of_a_tracker_counts_in_its_stage(slow_tracker: HQTracker, time: Time) -> None:
    images, clock = video(2), time.clock()
    with timing(clock):
        slow_tracker.initialize(images[0], rectangles(4))
        first = spent(clock)
        slow_tracker.track(images[1])
        second = spent(clock)
        slow_tracker.add_objects(images[1], rectangles(1, seed=1))
        third = spent(clock)
    assert first == {
        Stage.PREPROCESS: 1,
        Stage.ENCODE: 10,
        Stage.PROPAGATE: 2 * 100,
        Stage.DECODE: 500 + 40,
    }
    assert second == {
        Stage.PREPROCESS: 1,
        Stage.ENCODE: 10,
        Stage.PROPAGATE: 2 * (1_000 + 10_000),
        Stage.DECODE: 3 + 40,
        Stage.SAM_ENCODE: 1,
        Stage.SAM_DECODE: 30 + 2,
        Stage.SELECT: 7,
    }
    assert third == {Stage.PROPAGATE: 10_000 + 100, Stage.DECODE: 500 + 40}


def test_a_timed_refiner_encodes_in_turn(
    slow_tracker: HQTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the caller's thread and after VMOS; without a clock in another one."""
    order: list[tuple[str, bool]] = []
    for owner, name in (
        (slow_tracker.segmenter.model, "propagate"),
        (_hqsam(slow_tracker), "embed"),
    ):
        function = getattr(owner, name)

        def noting(*args: Any, name: str = name, function: Any = function) -> Any:
            order.append((name, threading.current_thread() is threading.main_thread()))
            return function(*args)

        monkeypatch.setattr(owner, name, noting)
    images = video(3)
    slow_tracker.initialize(images[0], rectangles(2))
    with timing(StageClock()):
        slow_tracker.track(images[1])
    assert order == [("propagate", True), ("embed", True)]
    order.clear()
    slow_tracker.track(images[2])
    assert sorted(order) == [("embed", False), ("propagate", True)]


def _hqsam(timed: HQTracker) -> object:
    assert timed.refiner is not None
    return timed.refiner._model


def test_waiting_for_what_was_begun_before_counts_as_encoding(
    time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, clock = video(1)[0], time.clock()
    refining = MaskRefiner(tiny_hqsam())
    refining.begin(image)
    time.slow(monkeypatch, refining, "_take", 5)
    with timing(clock):
        refining.refine(image, rectangles(1))
    assert spent(clock)[Stage.SAM_ENCODE] == 5


def test_a_session_counts_reading_and_answering(
    time: Time, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), IMAGE)
    server, repeating, clock = (
        FakeServer(request("initialize", path, ONE), request("frame", path), request("quit")),
        FirstMask(),
        time.clock(),
    )
    for owner, name, seconds in (
        (session, "read_image", 1),
        (region_text, "to_mask", 10),
        (repeating, "track", 2),
        (session, "to_region", 3),
        (server, "answer", 40),
        (server, "wait", 500),
    ):
        time.slow(monkeypatch, owner, name, seconds)
    answers = []
    with timing(clock):
        session.serve(server, repeating, answered=lambda tracked: answers.append(spent(clock)))
    assert answers == [
        {Stage.READ: 11, Stage.ANSWER: 43},
        {Stage.READ: 1, Stage.SELECT: 2, Stage.ANSWER: 43},
    ]


def test_a_trace_tells_times_and_choices(
    slow_tracker: HQTracker, time: Time, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images, clock = video(2), time.clock()
    path = tmp_path / "trace.jsonl"
    reader = TraceReader(path)
    assert reader.read(0) is None
    with Journal(path) as journal, timing(clock):
        trace = Trace(journal, slow_tracker, clock)
        slow_tracker.initialize(images[0], rectangles(2))
        trace.answered(np.array([False, False]))
        slow_tracker.track(images[1])
        trace.answered(np.array([True, True]))
    first, second = reader.read(0), reader.read(0)
    assert reader.read(0) is None
    assert first is not None
    assert second is not None
    assert first.tracked == []
    assert first.refined is None
    assert first.seconds["SAM-decode"] == 0
    assert second.tracked == [0, 1]
    step = slow_tracker.last
    assert step is not None
    assert step.selection is not None
    assert second.refined == step.selection.refined.tolist()
    assert second.memory == [[[0], 0]]
    assert second.seconds["SAM-encode"] == 1
    assert second.seconds["select"] == 7


def test_the_trace_of_a_tracker_that_does_not_tell(tmp_path: Path) -> None:
    with Journal(tmp_path / "trace.jsonl") as journal:
        Trace(journal, FirstMask(), StageClock()).answered(np.array([True]))
    traced = TraceReader(tmp_path / "trace.jsonl").read(0)
    assert traced is not None
    assert traced.tracked == [0]
    assert traced.step((4, 6)) is None
