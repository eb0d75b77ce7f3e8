"""The steps, in order of worth."""

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from benchmarks.gpu_check.found import Found, Options


class Step(NamedTuple):
    """A step: its name, what it does, and the seconds that it may take."""

    name: str
    title: str
    seconds: int

    @property
    def check(self) -> Callable[[Options, Found], None]:
        """What it does; raises NotRun or CheckFailed."""
        check: Callable[[Options, Found], None] = import_module(
            f"benchmarks.gpu_check.{self.name}"
        ).check
        return check


STEPS = (
    Step("machine", "versions, C compiler, speed of copies and matrix products", 45),
    Step("small", "every kernel against its plain function at small sizes, in both types", 70),
    Step("real", "every kernel at the sizes of the trackers, twice", 95),
    Step("tuning", "times of the kernels over block sizes, warps and stages", 140),
    Step("pipeline", "whole frames: with and without graphs, second stream and fast path", 190),
    Step("profile", "share of the roofline, and a trace", 80),
    Step("light", "the light tracker, fast against exact; hqtrack run", 90),
)
