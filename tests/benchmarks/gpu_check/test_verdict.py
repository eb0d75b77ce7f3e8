from typing import Any

import pytest

from benchmarks.gpu_check.found import FAILED, NOT_RUN, PASSED, TIMED_OUT
from benchmarks.gpu_check.runner import Result
from benchmarks.gpu_check.verdict import judge


def results(
    ms: dict[str, float], share: float | None = 0.4, iou: float = 0.998, **status: str
) -> dict[str, Result]:
    found: dict[str, dict[str, Any]] = {
        "pipeline": {
            "ways": {name: {"ms": value} for name, value in ms.items()},
            "stages": {"read": 1.0, "SAM-encode": 18.25, "select": 9.0, "propagate": 11.0},
        },
        "profile": {"share": share},
        "light": {"iou": iou},
    }
    return {
        name: Result(status.get(name, PASSED), 1.0, "", values) for name, values in found.items()
    }


@pytest.mark.parametrize(
    ("ran", "line"),
    [
        (results({"fast": 40.0, "with graphs": 32.0}), "30 fps: reached, 31.2 fps"),
        (
            results({"fast": 40.0, "exact": 10.0}),
            "30 fps: NOT reached, 25.0 fps; missing: 6.7 ms a frame "
            "(SAM-encode 18.2, propagate 11.0, select 9.0)",
        ),
        (
            results({"fast": 20.0}, share=0.2, iou=0.9),
            "30 fps: reached, 50.0 fps; missing: roofline 0.200 instead of 0.3; "
            "iou 0.900 instead of 0.995",
        ),
        (
            results({"fast": 20.0}, light=NOT_RUN, profile=TIMED_OUT),
            "30 fps: reached, 50.0 fps; missing: step profile timed out; step light not run",
        ),
        ({}, "30 fps: not measured"),
    ],
)
def test_the_line_says_what_is_reached_and_what_is_missing(
    ran: dict[str, Result], line: str
) -> None:
    verdict = judge(ran)
    assert verdict.line == verdict.facts["line"] == line


@pytest.mark.parametrize(
    ("status", "sound"), [(PASSED, True), (NOT_RUN, True), (FAILED, False), (TIMED_OUT, False)]
)
def test_only_a_step_that_failed_or_hung_makes_the_check_fail(status: str, sound: bool) -> None:
    ran = results({"fast": 20.0}, light=status)
    assert judge(ran).sound == sound
    assert judge(ran, dry=True).sound == sound


def test_of_a_dry_run_no_speed_is_judged() -> None:
    verdict = judge(results({"fast": 4.0}, share=None, light=NOT_RUN), dry=True)
    assert verdict.line == "dry run: 2 passed, 1 not run; no speed is judged"
    assert verdict.facts["missing"] == []
