import hqsam.kernels
import vmos.kernels
from benchmarks.gpu_check.cases import refiner_cases, tracker_cases
from benchmarks.gpu_check.tuning import launches

FULL = tracker_cases("full", (1080, 1920))


def test_the_present_launch_comes_first_and_none_twice() -> None:
    present = {
        "deformable_sample": vmos.kernels.SAMPLING,
        "local_attention": vmos.kernels.LOCAL,
        "global_attention": vmos.kernels.GLOBAL[2],
    }
    for kernel, cases in FULL.items():
        trials = list(launches(cases[0]))
        assert trials[0][1:] == (present[kernel], None)
        assert len(set(trials)) == len(trials) > 5
        assert all(each.run.__self__.case is cases[0] for each in trials)
    (sam,) = refiner_cases("vit_h").values()
    found = {case.name: next(launches(case)).launch for case in sam}
    assert found == {
        "vit_h: windows of 14": hqsam.kernels.WINDOW,
        "vit_h: the map": hqsam.kernels.MAP,
    }


def test_no_launch_keeps_more_sums_than_registers_hold_and_keys_are_split() -> None:
    trials = list(launches(FULL["global_attention"][0]))
    assert all(each.launch.queries * each.launch.channels <= 2**15 for each in trials)
    assert {each.splits for each in trials} >= {1, 2, 8}
