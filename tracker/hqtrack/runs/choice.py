"""Chooses the networks of a run by the weights that are there."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hqtrack import weights
from hqtrack.errors import MissingFileError
from hqtrack.presets import FULL, LIGHT, PLUS, PUBLISHED_REFINER
from hqtrack.runs.first_masks import GrabCut, HQSamMasks, Prompted, best_variant, boxes_only
from hqtrack.runs.targets import Box, Points, Target


class TrackerChoice(NamedTuple):
    """A preset of ``hqtrack.build.build_tracker`` and, for the full one, its refiner."""

    preset: str
    refiner: str | None

    def __str__(self) -> str:
        """A phrase for "the ... tracker"."""
        return self.preset if self.refiner is None else f"{self.preset} (HQ-SAM {self.refiner})"


def choose_tracker(preset: str | None, directory: Path | None) -> TrackerChoice:
    """The requested preset; without one, the full preset if its weights are there, else the light.

    The full preset uses the best HQ-SAM whose weights are there. Without ``preset``, a line on
    stderr says which preset is used and why.
    """
    variant = best_variant(directory)
    if preset in (FULL.name, PLUS.name):
        return TrackerChoice(preset, variant or PUBLISHED_REFINER)
    if preset == LIGHT.name:
        return TrackerChoice(LIGHT.name, None)
    missing = [] if variant else ["HQ-SAM"]
    try:
        weights.find(FULL.checkpoints()[0], directory)
    except MissingFileError:
        missing.insert(0, "VMOS")
    choice = TrackerChoice(LIGHT.name, None) if missing else TrackerChoice(FULL.name, variant)
    reason = (
        f"the weights of {' and '.join(missing)} are missing (hqtrack weights download)"
        if missing
        else "its weights are there"
    )
    print(f"hqtrack: using the {choice} tracker: {reason}", file=sys.stderr)
    return choice


def choose_prompted(
    targets: Sequence[Target], directory: Path | None, device: str | None
) -> Prompted:
    """What makes masks from boxes and points: HQ-SAM if its weights are there, else GrabCut.

    If there are boxes or points, a line on stderr says which one is used. Raises InputError for
    points without HQ-SAM.
    """
    variant = best_variant(directory)
    prompted = GrabCut() if variant is None else HQSamMasks(variant, directory, device)
    prompts = [each.prompt for target in targets for each in target.given]
    if not any(isinstance(prompt, Box | Points) for prompt in prompts):
        return prompted
    note = ""
    if variant is None:
        boxes_only(prompts)
        note = ", coarse: the weights of HQ-SAM are missing (hqtrack weights download hqsam_vit_b)"
    print(f"hqtrack: {prompted.name} makes the first masks{note}", file=sys.stderr)
    return prompted
