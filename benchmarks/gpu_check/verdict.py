"""What the results of all steps say: are 30 frames per second reached, and what is missing."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.gpu_check.found import FAILED, NOT_RUN, PASSED, TIMED_OUT
from benchmarks.gpu_check.runner import Result

FPS, ROOFLINE, IOU = 30.0, 0.3, 0.995
"""The goals: frames per second, share of the roofline, and IoU of fast and exact masks."""


class Verdict(NamedTuple):
    """The summary.

    Attributes:
        line: for people.
        facts: for programs.
        sound: whether no step failed or was killed.
    """

    line: str
    facts: dict[str, Any]
    sound: bool


def judge(results: Mapping[str, Result], dry: bool = False) -> Verdict:
    """The verdict on the results of steps by name; of a dry run no speed is judged."""
    bad = [name for name, result in results.items() if result.status in (FAILED, TIMED_OUT)]
    frame = _best_frame(results)
    facts: dict[str, Any] = {
        "dry": dry,
        "steps": {name: result._replace(found={})._asdict() for name, result in results.items()},
        "goal_fps": FPS,
        "fps": None if frame is None else 1000 / frame,
        "missing_ms": None if frame is None else max(0.0, frame - 1000 / FPS),
        "roofline": _found(results, "profile", "share"),
        "iou": _found(results, "light", "iou"),
        "missing": [],
    }
    facts["missing"] = [] if dry else _missing(facts, results)
    if dry:
        counts = dict.fromkeys((PASSED, NOT_RUN, FAILED, TIMED_OUT), 0)
        for result in results.values():
            counts[result.status] += 1
        told = ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        line = f"dry run: {told}; no speed is judged"
    elif frame is None:
        line = f"{FPS:.0f} fps: not measured"
    elif facts["missing_ms"]:
        line = f"{FPS:.0f} fps: NOT reached, {1000 / frame:.1f} fps"
    else:
        line = f"{FPS:.0f} fps: reached, {1000 / frame:.1f} fps"
    if facts["missing"]:
        line += "; missing: " + "; ".join(facts["missing"])
    facts["line"] = line
    return Verdict(line, facts, not bad)


def _best_frame(results: Mapping[str, Result]) -> float | None:
    """The milliseconds of a frame in the fastest way of the pipeline; None if none was measured."""
    ways = _found(results, "pipeline", "ways") or {}
    taken = [way["ms"] for name, way in ways.items() if "ms" in way and name != "exact"]
    return min(taken, default=None)


def _missing(facts: Mapping[str, Any], results: Mapping[str, Result]) -> list[str]:
    missing = [
        f"step {name} {result.status}"
        for name, result in results.items()
        if result.status != PASSED
    ]
    if facts["missing_ms"]:
        missing.append(f"{facts['missing_ms']:.1f} ms a frame{_slowest(results)}")
    for name, goal in (("roofline", ROOFLINE), ("iou", IOU)):
        value = facts[name]
        if value is not None and value < goal:
            missing.append(f"{name} {value:.3f} instead of {goal}")
    return missing


def _slowest(results: Mapping[str, Result]) -> str:
    stages: dict[str, float] = _found(results, "pipeline", "stages") or {}
    longest = sorted(stages.items(), key=lambda item: -item[1])[:3]
    return f" ({', '.join(f'{name} {ms:.1f}' for name, ms in longest)})" if longest else ""


def _found(results: Mapping[str, Result], step: str, name: str) -> Any:
    return results[step].found.get(name) if step in results else None
