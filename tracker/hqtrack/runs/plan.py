"""The plan of a run: the video, its objects, the tracker and the folder of the results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hqtrack.records.record import Heading
from hqtrack.runs.choice import TrackerChoice
from hqtrack.runs.first_masks import Prompted
from hqtrack.runs.results import RunDescription
from hqtrack.runs.targets import MaskFile, Target, describe
from hqtrack.tracker import Tracker
from hqtrack.video.sources import Source


@dataclass(frozen=True)
class RunPlan:
    """Everything that determines a run.

    folder: the folder of the results. source: the video; the run reads every ``every``-th frame
    from frame ``start`` on, counted from 1. targets: the objects. prompted: makes masks from boxes
    and points. choice: the tracker; device, weights (a folder), exact: see
    ``hqtrack.build.build_tracker``. overlay, record: whether the run also writes a video with the
    masks, and a record for ``hqtrack inspect``.
    """

    folder: Path
    source: Source
    start: int
    every: int
    targets: tuple[Target, ...]
    prompted: Prompted
    choice: TrackerChoice
    device: str | None = None
    weights: Path | None = None
    exact: bool = False
    overlay: bool = False
    record: bool = False

    @property
    def total(self) -> int | None:
        """The number of frames that are read; None if unknown."""
        if self.source.total is None:
            return None
        return len(range(self.start, self.source.total + 1, self.every))

    @property
    def description(self) -> RunDescription:
        """Everything that determines the masks; the journal starts with it."""
        makes = any(not isinstance(target.prompt, MaskFile) for target in self.targets)
        return RunDescription(
            video=self.source.address,
            start=self.start,
            every=self.every,
            tracker=f"{self.choice}{', exact' if self.exact else ''}",
            first_masks=self.prompted.name if makes else "given",
            objects=tuple(map(_identity, self.targets)),
        )

    @property
    def heading(self) -> Heading:
        """The heading of the record."""
        names = {target.number: target.name for target in self.targets}
        return Heading(self.source.name, f"the {self.choice} tracker", names)

    def build_tracker(self) -> Tracker:
        """Load the tracker; raises the errors of ``hqtrack.build.build_tracker``."""
        # these import torch: load them only now
        from hqtrack.build import build_tracker
        from hqtrack.compute.threads import limit_threads

        limit_threads()
        options: dict[str, Any] = {}
        if self.choice.refiner is not None:
            options["refiner"] = self.choice.refiner
        if self.exact:
            options["exact"] = True
        return build_tracker(
            self.choice.preset, device=self.device, weights=self.weights, **options
        )


def _identity(target: Target) -> str:
    """A target, with the content of its mask file rather than the path."""
    where = describe(target.prompt)
    if isinstance(target.prompt, MaskFile):
        where = f"object {target.prompt.label} of mask {target.prompt.file.digest}"
    start = "the first frame" if target.frame is None else f"frame {target.frame}"
    return f"{target.name} ({target.number}) from {start}: {where}"
