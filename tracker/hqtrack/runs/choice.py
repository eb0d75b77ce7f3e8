"""Which networks follow and mark objects, by the weights that are there."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hqtrack import weights
from hqtrack.errors import MissingFileError
from hqtrack.runs.first_masks import GrabCut, HQSamMasks, Prompted, best_variant, boxes_only
from hqtrack.runs.targets import MaskFile, Target

PRESETS = ("light", "full")


class TrackerChoice(NamedTuple):
    """A preset of ``hqtrack.build.build_tracker`` and, for the full one, its refiner."""

    preset: str
    refiner: str | None

    def __str__(self) -> str:
        """As in: the ... tracker."""
        return self.preset if self.refiner is None else f"{self.preset} (HQ-SAM {self.refiner})"


def choose_tracker(preset: str | None, directory: Path | None) -> TrackerChoice:
    """The preset asked for, else the full one where its weights are there, else the light one.

    The full one refines with the best HQ-SAM that is there. Without ``preset`` a line on stderr
    says which it is and why.
    """
    variant = best_variant(directory)
    if preset == "full":
        return TrackerChoice("full", variant or "vit_h")
    if preset == "light":
        return TrackerChoice("light", None)
    missing = [] if variant else ["HQ-SAM"]
    try:
        weights.find("vmos", directory)
    except MissingFileError:
        missing.insert(0, "VMOS")
    choice = TrackerChoice("light", None) if missing else TrackerChoice("full", variant)
    reason = (
        f"the weights of {' and '.join(missing)} are not here (hqtrack weights download)"
        if missing
        else "its weights are here"
    )
    print(f"hqtrack: using the {choice} tracker: {reason}", file=sys.stderr)
    return choice


def choose_prompted(
    targets: Sequence[Target], directory: Path | None, device: str | None
) -> Prompted:
    """Who makes masks from boxes and points: HQ-SAM where its weights are there, else GrabCut.

    Where there is something to make, a line on stderr says who does. Raises InputError for points
    without HQ-SAM.
    """
    variant = best_variant(directory)
    prompted = GrabCut() if variant is None else HQSamMasks(variant, directory, device)
    if all(isinstance(target.prompt, MaskFile) for target in targets):
        return prompted
    note = ""
    if variant is None:
        boxes_only(target.prompt for target in targets)
        note = (
            ", coarsely: the weights of HQ-SAM are not here (hqtrack weights download hqsam_vit_b)"
        )
    print(f"hqtrack: first masks by {prompted.name}{note}", file=sys.stderr)
    return prompted
