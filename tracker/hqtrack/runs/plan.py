"""The plan of a run: the video, its objects, the tracker and the folder of the results."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hqtrack import weights
from hqtrack.presets import RULE_NAMES, find_preset
from hqtrack.records.record import Heading
from hqtrack.runs.choice import TrackerChoice
from hqtrack.runs.first_masks import Prompted, RefinerMasks
from hqtrack.runs.identity import file_digest, identify
from hqtrack.runs.journal import RunDescription
from hqtrack.runs.objects import describe_objects
from hqtrack.runs.targets import Box, Points, Target
from hqtrack.tracker import Tracker
from hqtrack.video.sources import Source


@dataclass(frozen=True)
class RunPlan:
    """Everything that determines a run.

    folder: the folder of the results. source: the video; the run reads every ``every``-th frame
    from frame ``start`` on, counted from 1. targets: the objects. prompted: makes masks from boxes
    and points. choice: the tracker; device, weights (a folder), exact: see
    ``hqtrack.build.build_tracker``. overlay, record: whether the run also writes a video with the
    masks, and a record for ``hqtrack inspect``. restart: whether it replaces an earlier run.
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
    rules: str | None = None
    overlay: bool = False
    record: bool = False
    restart: bool = False

    @property
    def expected(self) -> int | None:
        """About how many frames are read; None if unknown."""
        if self.source.expected is None:
            return None
        return len(range(self.start, self.source.expected + 1, self.every))

    @cached_property
    def description(self) -> RunDescription:
        """Everything that determines the masks; the journal starts with it.

        Raises MissingFileError if weights are missing, InputError if there is no such device.
        """
        prompts = [each.prompt for target in self.targets for each in target.given]
        makes = any(isinstance(prompt, Box | Points) for prompt in prompts)
        return RunDescription(
            video=self.source.address,
            input=identify(self.source),
            start=self.start,
            every=self.every,
            tracker=self._tracker(),
            computation=self._computation(),
            weights=self._weights(makes),
            first_masks=self.prompted.name if makes else "given",
            objects=describe_objects(self.targets),
        )

    @property
    def heading(self) -> Heading:
        """The heading of the record."""
        names = {target.number: target.name for target in self.targets}
        return Heading(self.source.name, f"the {self.choice} tracker", names)

    def _tracker(self) -> str:
        """The networks, how they compute, and the rules other than the published ones."""
        rules = self.rules or find_preset(self.choice.preset).rules
        parts = [str(self.choice)]
        if self.exact:
            parts.append("exact")
        if rules != RULE_NAMES[0]:
            parts.append(f"rules {rules}")
        return ", ".join(parts)

    def _computation(self) -> str:
        """The kind of device, and the data type."""
        # these import torch: load them only now
        from hqtrack.build import choose_device
        from hqtrack.compute.acceleration import choose_acceleration

        device = choose_device(self.device)
        dtype = choose_acceleration(device, self.exact).dtype
        return f"{device.type}, {str(dtype).removeprefix('torch.')}"

    def _weights(self, makes_masks: bool) -> dict[str, str]:
        """The digest of each file of weights, by its name."""
        names = find_preset(self.choice.preset).checkpoints(self.choice.refiner)
        files = {weights.find(name, self.weights) for name in names}
        if makes_masks and isinstance(self.prompted, RefinerMasks):
            files.add(self.prompted.file)
        return {path.name: file_digest(path) for path in sorted(files)}

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
        if self.rules is not None:
            options["rules"] = self.rules
        return build_tracker(
            self.choice.preset, device=self.device, weights=self.weights, **options
        )
