import io
import json
import time
from pathlib import Path

import numpy as np
import pytest

from hqtrack.baseline import FirstMask
from hqtrack.refiner import Candidates
from hqtrack.stages import Stage, StageClock, watch
from hqtrack.tracker import HQTracker
from hqtrack.vot.trace import Trace, TraceReader
from tests.helpers.tiny_segmenter import CONFIG, VideoObjectSegmenter, rectangles, video
from tests.helpers.tiny_vmos import tiny_vmos


def test_inner_stages_do_not_count_for_outer_ones() -> None:
    clock = StageClock()
    with clock.stage(Stage.PROPAGATE):
        time.sleep(0.02)
        with clock.stage(Stage.ENCODE):
            time.sleep(0.05)
    seconds = clock.take()
    assert 0.02 <= seconds[Stage.PROPAGATE] < 0.05 <= seconds[Stage.ENCODE]
    assert sum(clock.take().values()) == 0


def test_the_device_is_waited_for_at_each_border() -> None:
    calls = []
    clock = StageClock(lambda: calls.append(1))
    with pytest.raises(KeyError), clock.stage(Stage.SELECT):
        raise KeyError
    assert len(calls) == 2


class Sam:
    def embed(self) -> None:
        time.sleep(0.01)


class Refiner:
    def __init__(self) -> None:
        self._model = Sam()

    def refine(self, image: np.ndarray, masks: np.ndarray) -> Candidates:
        self._model.embed()
        time.sleep(0.002)
        half = masks.copy()
        half[0] = False
        return Candidates(half[:, None], np.ones((len(masks), 1), np.float32))


def test_a_trace_tells_times_and_choices(tmp_path: Path) -> None:
    images, masks = video(2), rectangles(2)
    tracker = HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG), Refiner())
    path = tmp_path / "trace.jsonl"
    reader = TraceReader(path)
    assert reader.read(0) is None
    with path.open("w") as file:
        trace = Trace(file, tracker, StageClock())
        tracker.initialize(images[0], masks)
        trace.answered(np.array([False, False]))
        with trace.stage(Stage.SELECT):
            tracker.track(images[1])
        trace.answered(np.array([True, True]))
    first, second = reader.read(0), reader.read(0)
    assert reader.read(0) is None
    assert first is not None
    assert second is not None
    assert first.tracked == []
    assert first.refined is None
    assert first.seconds["SAM-decode"] == 0
    assert second.tracked == [0, 1]
    assert second.refined is not None
    assert not second.refined[0]
    assert second.seconds["SAM-encode"] >= 0.01
    assert second.seconds["SAM-decode"] >= 0.002
    vmos = ("preprocess", "encode", "propagate", "decode")
    assert min(second.seconds[name] for name in (*vmos, "select")) > 0


def test_other_trackers_are_left_alone() -> None:
    tracker = FirstMask()
    assert watch(tracker, StageClock()) is tracker
    file = io.StringIO()
    Trace(file, tracker, StageClock()).answered(np.array([True]))
    assert json.loads(file.getvalue())["tracked"] == [0]
