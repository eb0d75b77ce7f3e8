"""The table of work against what `benchmarks.tensors` computes, in which nothing is in parts."""

import pytest

from benchmarks import tensors
from benchmarks.gpu_check.work import FULL_HD, Work, share
from hqtrack.bench.pipeline import Setup
from vmos import ops


@pytest.mark.slow
def test_the_table_is_what_the_tensors_of_a_frame_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors without content need no memory, so attention may be one product."""
    monkeypatch.setattr(ops, "QUERIES_AT_A_TIME", 10**9)
    monkeypatch.setattr(ops, "KEYS_AT_A_TIME", 10**9)
    setup = Setup("full", "vit_h", size=(1080, 1920), objects=5, device="cpu")
    phases = tensors.compute(setup)
    for name, work in FULL_HD.items():
        assert phases[name].flop / 1e12 == pytest.approx(work.all, abs=1e-3), name


def test_the_attention_of_vit_h_is_that_of_its_tokens() -> None:
    """Two products of each query with each key: 28 blocks of 25 windows, and 4 of the whole map."""
    pairs = 28 * 25 * 196**2 + 4 * 4096**2
    attention = FULL_HD["SAM-encode"].attention
    assert 4 * 1280 * pairs / 1e12 == pytest.approx(attention, abs=5e-4)


def test_the_share_is_the_time_at_the_ceiling() -> None:
    work = {"a": Work(2.0, 1.0), "b": Work(1.0)}
    assert share(work, ms=20.0, throughput=800e12) == pytest.approx(0.25)
