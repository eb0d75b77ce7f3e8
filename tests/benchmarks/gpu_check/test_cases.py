import pytest
import torch

from benchmarks.gpu_check.cases import (
    FUSED,
    PLAIN,
    Case,
    refiner_cases,
    small_cases,
    tracker_cases,
)
from benchmarks.gpu_check.real import groups

CPU = torch.device("cpu")


def test_the_full_tracker_at_full_hd_asks_for_these() -> None:
    found = tracker_cases("full", (1080, 1920))
    assert set(found) == {"deformable_sample", "global_attention", "local_attention"}
    keys = {case.name: case.shapes[1][1:] for case in found["global_attention"]}
    assert keys["full: long-term attention, stride 16"] == (6 * 37 * 66, 128)
    assert keys["full: long-term attention, stride 8"] == (6 * 73 * 131, 64)
    assert keys["full: self attention, stride 8"] == (73 * 131, 64)
    grids = [case.shapes[0] for case in found["deformable_sample"]]
    assert grids == [(1, 145, 261, 64), (1, 73, 131, 128), (1, 37, 66, 256), (1, 37, 66, 256)]
    assert "deformable_sample" not in tracker_cases("light", (1080, 1920))


def test_vit_b_and_vit_h_ask_for_windows_and_the_map() -> None:
    for variant, heads, depth in (("vit_b", 12, 64), ("vit_h", 16, 80)):
        (found,) = refiner_cases(variant).values()
        assert {case.name for case in found} == {f"{variant}: windows of 14", f"{variant}: the map"}
        assert {case.shapes[0] for case in found} == {(1, 64, 64, 3, heads, depth)}
    assert refiner_cases("vit_tiny") == {}


@pytest.mark.parametrize("case", small_cases(), ids=lambda case: f"{case.kernel}, {case.name}")
def test_a_case_fits_its_function_and_is_the_same_for_the_same_seed(case: Case) -> None:
    assert set(FUSED) == set(PLAIN)
    first, again, other = (case.inputs(torch.float32, CPU, seed) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    with torch.inference_mode():
        assert PLAIN[case.kernel](*first).isfinite().all()


def test_every_kernel_is_tried_at_small_sizes_and_most_in_a_dry_run() -> None:
    assert {case.kernel for case in small_cases()} == set(FUSED)
    (toy,) = groups(dry=True).values()
    assert {case.kernel for case in toy} == set(FUSED) - {"position_attention"}
    assert set(groups(dry=False)) == {"full", "light", "vit_h", "vit_b"}
