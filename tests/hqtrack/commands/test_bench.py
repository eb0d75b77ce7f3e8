"""``hqtrack bench`` and the record; nothing here judges a time."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hqtrack.bench import pipeline
from hqtrack.bench.measure import MemoryMeter, measure_frames
from hqtrack.bench.pipeline import Networks, Setup, place_objects, rehearse
from hqtrack.cli import main
from hqtrack.light import LIGHT_SEGMENTER
from hqtrack.stages import Stage
from tests.helpers.tiny_hqsam import tiny_hqsam
from tests.helpers.tiny_vmos import tiny_vmos

SETUP = Setup("light", size=(64, 96), objects=2, memory=3, device="cpu")
SMALL = ("bench", "--size", "96x64", "--objects", "2", "--frames", "1", "--device", "cpu")


@pytest.fixture
def networks() -> Networks:
    return Networks(tiny_vmos(), None, ("light",))


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_every_object_has_its_place(count: int) -> None:
    masks = place_objects(count, (480, 854))
    assert masks.any(axis=(1, 2)).all()
    assert masks.sum(axis=0).max() == 1


@pytest.mark.parametrize("memory", [1, 3])
def test_memory_is_full_and_stays_as_it_is(networks: Networks, memory: int) -> None:
    setup = Setup("light", size=(64, 96), objects=4, memory=memory, device="cpu")
    with rehearse(setup, networks) as rehearsal:
        for _ in range(LIGHT_SEGMENTER.short_term_lag + 1):
            rehearsal.frame()
        segmenter = rehearsal.tracker.segmenter
        read = segmenter.frames_read
    assert [len(group.long_term) for group in read] == [memory, memory]
    # the first frame that is a real one
    assert read[0].short_term == 1


@pytest.mark.parametrize("on_device", [False, True])
def test_all_objects_are_in_sight_on_every_frame(
    networks: Networks, monkeypatch: pytest.MonkeyPatch, on_device: bool
) -> None:
    monkeypatch.setattr(pipeline, "stays_on_device", lambda segmenter, refiner: on_device)
    with rehearse(SETUP, networks._replace(hqsam=tiny_hqsam())) as rehearsal:
        rehearsal.frame()
        assert rehearsal.tracker.last is not None
        first = place_objects(SETUP.objects, SETUP.size)
        np.testing.assert_array_equal(rehearsal.tracker.last.coarse, first)


def test_the_stages_make_up_the_frame(networks: Networks) -> None:
    cost = measure_frames(SETUP, networks, frames=3, warmup=1)
    parts = sum(times.median for times in cost.stages.values())
    assert 0.8 * cost.staged.low < parts < 1.2 * cost.staged.high
    vmos = (Stage.READ, Stage.PREPROCESS, Stage.ENCODE, Stage.PROPAGATE, Stage.DECODE)
    assert min(cost.stages[stage].low for stage in (*vmos, Stage.ANSWER)) > 0
    assert cost.stages[Stage.SAM_ENCODE].high == 0
    assert cost.frame.low <= cost.frame.median <= cost.frame.high


@pytest.mark.skipif(MemoryMeter(torch.device("cpu")).now() is None, reason="Linux tells memory")
def test_the_peak_of_memory_is_seen_and_forgotten() -> None:
    meter = MemoryMeter(torch.device("cpu"))
    before = meter.now()
    meter.reset_peak()
    np.ones(2**25)
    during = meter.peak()
    meter.now()  # also has malloc give back what it holds
    meter.reset_peak()
    after = meter.peak()
    assert before is not None
    assert during is not None
    assert after is not None
    assert 250 < during - before < 300
    assert after < during - 200


@pytest.mark.slow
def test_json_and_the_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ("--record", str(tmp_path), "--prediction", "10 ms", "--change", "none")
    assert main([*SMALL, *told, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["setup"]["stand_ins"] == []
    assert printed["setup"]["memory"] == LIGHT_SEGMENTER.long_term_size
    assert set(printed["stages_ms"]) == {str(stage) for stage in Stage}
    assert printed["start_s"] > 0
    stored = json.loads((tmp_path / "0001-frame.json").read_text())
    assert stored["prediction"] == "10 ms"
    assert stored["headline"]["ms"] == printed["frame_ms"]["median"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--size", "20x20"), "sides of 48 to"),
        (("--size", "90000x48"), "sides of 48 to"),
        (("--size", "8192x8192", "--objects", "9999"), "memory of this machine"),
        (("--size", "64x64", "--objects", "900"), "do not fit at"),
        (("--objects", "0"), "at least 1"),
        (("--memory", "0"), "at least 1"),
        (("--frames", "0"), "at least 1"),
        (("--preset", "heavy"), "'heavy'"),
        (("--variant", "vit_x"), "'vit_x'"),
        (("--dtype", "float8"), "'float8'"),
        (("--device", "tpu9"), "no device"),
        (("--record", "nowhere"), "go together"),
        (("--record", "nowhere", "--prediction", "p"), "no folder nowhere"),
    ],
)
def test_what_cannot_be_measured_is_told(
    options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--device", "cpu", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--device", "cuda"]) == 2
    assert "no device 'cuda'" in capsys.readouterr().err


def test_running_out_of_memory_is_told(networks: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    def allocate(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(networks.vmos, "encode", allocate)
    with pytest.raises(ValueError, match="fewer objects"), rehearse(SETUP, networks):
        pass
