"""The measures of VOTS for tracks in memory; the toolkit itself computes them.

====================  ================================================================
Quality               overlap over all frames; 1 if an absent object is not reported
accuracy              overlap over the frames on which the object is tracked
robustness            share of the frames with the object on which it is tracked
NRE                   not-reported error: share of them on which it is reported absent
DRE                   drift-rate error: share of them on which something else is reported
ADQ                   absence-detection quality: share of the frames without the object
                      on which it is reported absent
====================  ================================================================

Tracked means an overlap above 0. Measures are means over objects, then over sequences. As in ``vot
analysis``, the first frame counts, although the tracker reports no mask on it: it counts as not
reported, and with an overlap of 0 for accuracy. ADQ only includes objects that are absent on more
than ten frames.

M. Kristan et al., "The first visual object tracking segmentation VOTS2023 challenge results",
ICCVW 2023.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import yaml  # type: ignore[import-untyped]
from numpy.typing import NDArray
from vot.experiment.multirun import UnsupervisedExperiment  # type: ignore[import-untyped]
from vot.region import Mask, Special  # type: ignore[import-untyped]
from vot.tracker import Trajectory  # type: ignore[import-untyped]
from vot.utilities.data import Grid  # type: ignore[import-untyped]

from hqtrack.files import shipped
from hqtrack.regions import to_region
from hqtrack.types import Masks

_ANALYSES = ("Quality", "AR", "Auxiliary")


class VotsMeasures(NamedTuple):
    """See the module; each in [0, 1]. ``adq`` is None if no object was absent for long enough."""

    quality: float
    accuracy: float
    robustness: float
    nre: float
    dre: float
    adq: float | None


class Tracks:
    """True and reported masks of the objects of a sequence, stored as cut-outs.

    It also has the methods that the toolkit needs of a sequence.
    """

    def __init__(self, given: Masks) -> None:
        """``given``: the masks [N,H,W] of the first frame, which the tracker gets."""
        self.size: tuple[int, int] = (given.shape[2], given.shape[1])
        self._true = [[_region(mask)] for mask in given]
        self._reported = [[Special(Trajectory.INITIALIZATION)] for _ in given]

    def add(self, true: Masks, reported: Masks) -> None:
        """Add a frame: masks [N,H,W] of the same objects in the same order."""
        for regions, masks in ((self._true, true), (self._reported, reported)):
            for trajectory, mask in zip(regions, masks, strict=True):
                trajectory.append(_region(mask))

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._true[0])

    def objects(self) -> range:
        """The objects, counted from 0."""
        return range(len(self._true))

    def object(self, name: int | str) -> list[Any] | None:
        """The true regions of an object; None for another name, such as that of ignored areas."""
        return self._true[name] if isinstance(name, int) else None

    def reported(self, index: int) -> list[Any]:
        """The regions reported for an object."""
        return self._reported[index]


@dataclass(frozen=True)
class Analysed:
    """The toolkit's partial results for some sequences.

    For each analysis that takes a mean over sequences, and for each analysis that it depends on,
    ``parts`` contains a grid [1, sequences].
    """

    parts: tuple[tuple[Any, ...], ...]

    def measures(self) -> VotsMeasures:
        """The means over the sequences."""
        (quality,), (accuracy, robustness, _), (nre, dre, adq) = (
            analysis.compute(_experiment(), [None], [None] * len(parts[0]), parts)[0, 0]
            for analysis, parts in zip(_analyses(), self.parts, strict=True)
        )
        return VotsMeasures(float(quality), float(accuracy), robustness, nre, dre, adq)


def analyse(tracks: Tracks) -> Analysed:
    """Measure the tracks of one sequence.

    The first time on a machine this takes a minute, because the toolkit compiles its code.
    """
    return Analysed(
        tuple(
            tuple(
                part.compute(_experiment(), [None], [tracks], [])
                for part in analysis.dependencies()
            )
            for analysis in _analyses()
        )
    )


def join(analysed: Sequence[Analysed]) -> Analysed:
    """The partial results of several sequences together."""
    return Analysed(
        tuple(
            tuple(_joined(grids) for grids in zip(*same, strict=True))
            for same in zip(*(found.parts for found in analysed), strict=True)
        )
    )


class _TracksExperiment(UnsupervisedExperiment):  # type: ignore[misc]
    """An experiment whose results are in memory, with the ground truth."""

    def gather(
        self, tracker: None, sequence: Tracks, objects: Sequence[int] = (), pad: bool = False
    ) -> list[list[Any]]:
        return [sequence.reported(index) for index in objects]


@cache
def _experiment() -> _TracksExperiment:
    """An experiment with the analyses of the workspaces that ``hqtrack workspace`` makes."""
    ((name, settings),) = yaml.safe_load(shipped("stack.yaml").read_text())["experiments"].items()
    return _TracksExperiment(name, None, **{k: v for k, v in settings.items() if k != "type"})


@cache
def _analyses() -> tuple[Any, ...]:
    by_name = {analysis.title: analysis for analysis in _experiment().analyses}
    return tuple(by_name[name] for name in _ANALYSES)


def _joined(grids: Sequence[Any]) -> Any:
    cells = [cell for grid in grids for cell in grid]
    joined = Grid(1, len(cells))
    for index, cell in enumerate(cells):
        joined[0, index] = cell
    return joined


def _region(mask: NDArray[np.bool_]) -> Any:
    pixels, x, y = to_region(mask)
    return Mask(pixels, (x, y))
