"""The environment variables of HQTrack: all of them, and the only place that reads them.

``docs/environment.md`` has the same table for users. Light: nothing but the standard library.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Variable(StrEnum):
    """The names of the variables, for those who set them for another process."""

    PRESET = "HQTRACK_PRESET"
    DEVICE = "HQTRACK_DEVICE"
    REFINER = "HQTRACK_REFINER"
    RULES = "HQTRACK_RULES"
    WEIGHTS = "HQTRACK_WEIGHTS"
    EXACT = "HQTRACK_EXACT"
    GRAPHS = "HQTRACK_GRAPHS"
    RESIDENT = "HQTRACK_RESIDENT"
    WORKSPACE = "HQTRACK_WORKSPACE"
    TRACE = "HQTRACK_TRACE"
    WORKER = "HQTRACK_WORKER"


OF_A_SESSION = (Variable.WORKSPACE,)
"""The variables that may differ from session to session of the same resident tracker."""


@dataclass(frozen=True)
class Settings:
    """What the variables say; None where one is not set or empty.

    Attributes:
        preset: which tracker answers under VOT, see ``hqtrack.presets``.
        device: where to compute, for example "cpu" or "cuda:1".
        refiner: the HQ-SAM of the full preset, for example "vit_b".
        rules: "published" or "plus", see ``hqtrack.rules``.
        weights: folder of the downloaded checkpoints.
        exact: whether to compute on the reference float32 path.
        graphs: whether a GPU may replay networks as CUDA graphs.
        resident: seconds that a resident tracker waits for the next session, 0 for none, inf for no
            limit; NaN where the value is none of these, so that it can be refused.
        workspace: the VOT workspace to note results in, instead of the one around the images.
        trace: file to write a line per answered frame to.
    """

    preset: str | None
    device: str | None
    refiner: str | None
    rules: str | None
    weights: Path | None
    exact: bool
    graphs: bool
    resident: float | None
    workspace: Path | None
    trace: Path | None


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in this environment, by default that of this process as it is now."""
    weights, workspace, trace = (
        environment.get(name) for name in (Variable.WEIGHTS, Variable.WORKSPACE, Variable.TRACE)
    )
    return Settings(
        preset=environment.get(Variable.PRESET) or None,
        device=environment.get(Variable.DEVICE) or None,
        refiner=environment.get(Variable.REFINER) or None,
        rules=environment.get(Variable.RULES) or None,
        weights=Path(weights).expanduser() if weights else None,
        exact=environment.get(Variable.EXACT, "") not in ("", "0"),
        graphs=environment.get(Variable.GRAPHS) != "0",
        resident=_seconds(environment.get(Variable.RESIDENT)),
        workspace=Path(workspace) if workspace else None,
        trace=Path(trace) if trace else None,
    )


def _seconds(text: str | None) -> float | None:
    """The number in [0, inf] that the text is, NaN for another text."""
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return math.nan
    return seconds if seconds >= 0 else math.nan
