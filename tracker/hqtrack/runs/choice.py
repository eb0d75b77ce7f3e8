"""Chooses the networks of a run by the weights that are there."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hqtrack import weights
from hqtrack.errors import MissingFileError
from hqtrack.presets import FULL, LIGHT, LIGHT_REFINER, PLUS, PUBLISHED_REFINER, find_preset
from hqtrack.runs.first_masks import Prompted, RefinerMasks, best_variant
from hqtrack.runs.targets import Box, Points, Target


class TrackerChoice(NamedTuple):
    """A preset of ``hqtrack.build.build_tracker`` and, for the full one, its refiner."""

    preset: str
    refiner: str | None

    def __str__(self) -> str:
        """A phrase for "the ... tracker"."""
        return self.preset if self.refiner is None else f"{self.preset} (HQ-SAM {self.refiner})"


def choose_tracker(
    preset: str | None, directory: Path | None, refiner: str | None = None
) -> TrackerChoice:
    """The requested preset; without one, the full preset if its weights are there, else the light.

    The full preset uses the requested ``refiner`` or else the best HQ-SAM whose weights are there.
    Without ``preset``, a line on stderr says which preset is used and why. Raises InputError if the
    preset does not take the refiner.
    """
    choice = _choose_tracker(preset, directory)
    if refiner is None:
        return choice
    return choice._replace(refiner=find_preset(choice.preset).require_refiner(refiner))


def _choose_tracker(preset: str | None, directory: Path | None) -> TrackerChoice:
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
    """What makes masks from boxes and points: the best released HQ-SAM there is, else the light.

    If there are boxes or points, a line on stderr says which one is used.
    """
    variant = best_variant(directory)
    prompted = RefinerMasks(variant or LIGHT_REFINER, directory if variant else None, device)
    prompts = [each.prompt for target in targets for each in target.given]
    if not any(isinstance(prompt, Box | Points) for prompt in prompts):
        return prompted
    note = "" if variant else "; `hqtrack weights download hqsam_vit_b` gets a better one"
    print(f"hqtrack: {prompted.name} makes the first masks{note}", file=sys.stderr)
    return prompted
