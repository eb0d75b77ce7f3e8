"""The trackers there are, in one table. Light: no torch and no numpy."""

from dataclasses import dataclass, replace
from pathlib import Path

from hqtrack import weights
from hqtrack.environment import Settings
from hqtrack.errors import InputError

RULE_NAMES = ("published", "plus")
"""The names of ``hqtrack.rules.RULES``."""

IDLE_SECONDS = 60.0
"""How long a resident tracker waits for the next session, unless HQTRACK_RESIDENT says so."""

PUBLISHED_REFINER = "vit_h"
"""The HQ-SAM of the published tracker."""

LIGHT_REFINER = "light"
"""The HQ-SAM that is part of hqtrack."""

REFINERS = (LIGHT_REFINER, "vit_tiny", "vit_b", "vit_l", "vit_h")
"""All HQ-SAM, from small to large; `hqsam.VARIANTS`, without importing torch."""


@dataclass(frozen=True)
class Preset:
    """A tracker that can be asked for by name.

    Attributes:
        name: what ``--preset``, HQTRACK_PRESET and ``hqtrack.build_tracker`` call it.
        tracker: what trackers.ini, results and ``hqtrack score`` call it.
        vmos: the checkpoint of its VMOS; None for a tracker without networks, which does not need
            torch.
        refiner: the variant of its HQ-SAM unless another is asked for; None without a refiner.
        rules: the name of its rules unless others are asked for, see ``hqtrack.rules``.
        idle_seconds: how long a resident process of it stays without a session; 0 where there is
            nothing to load and so no resident.
    """

    name: str
    tracker: str
    vmos: str | None
    refiner: str | None
    rules: str
    idle_seconds: float

    def with_refiner(self, asked: str | None = None) -> str | None:
        """The HQ-SAM that it has if this one is asked for; None without a refiner.

        A tracker that has none by default takes the light one only.
        """
        if asked and self.vmos and (self.refiner or asked == LIGHT_REFINER):
            return asked
        return self.refiner

    def require_refiner(self, asked: str | None) -> str | None:
        """`with_refiner`; raises InputError if the tracker does not take the one asked for."""
        chosen = self.with_refiner(asked)
        if asked and chosen != asked:
            instead = f"give the refiner {LIGHT_REFINER}" if self.vmos else "give no refiner"
            raise InputError(
                f"the {self.name} tracker does not take the refiner {asked}: {instead}, or choose "
                f"the {FULL.name} tracker"
            )
        return chosen

    def checkpoints(self, refiner: str | None = None) -> tuple[str, ...]:
        """The names of its checkpoints, see ``hqtrack.weights``, with this refiner or its own."""
        chosen = self.with_refiner(refiner)
        hqsam = f"hqsam_{chosen}" if chosen else None
        return tuple(name for name in (self.vmos, hqsam) if name)

    def files(self, settings: Settings) -> list[Path]:
        """Where its weights belong, with the refiner and in the folder that the settings name.

        They need not be there. Raises InputError for a refiner that does not exist.
        """
        known = [weights.known(name) for name in self.checkpoints(settings.refiner)]
        return [one.path(settings.weights if one.source else None) for one in known]


FULL = Preset("full", "HQTrack", "vmos", PUBLISHED_REFINER, "published", IDLE_SECONDS)
PLUS = replace(FULL, name="plus", tracker="HQTrackPlus", rules="plus")
LIGHT = Preset("light", "HQTrackLight", "light", None, "plus", IDLE_SECONDS)
FIRST_MASK = Preset("first-mask", "FirstMask", None, None, "published", 0.0)

PRESETS = {preset.name: preset for preset in (FULL, PLUS, LIGHT, FIRST_MASK)}
"""All presets, by their names."""

TRACKERS = {preset.tracker: preset for preset in PRESETS.values()}
"""All presets, by the names of their trackers."""

WITH_NETWORKS = {name: preset for name, preset in PRESETS.items() if preset.vmos is not None}
"""The presets that have networks, by their names."""


def find_preset(name: str) -> Preset:
    """The preset with networks of this name; raises InputError where there is none."""
    if name not in WITH_NETWORKS:
        raise InputError(f"there is no preset {name!r}: choose one of {', '.join(WITH_NETWORKS)}")
    return WITH_NETWORKS[name]


def find_tracker(name: str) -> Preset:
    """The preset whose tracker has this name; raises InputError where there is none."""
    if name not in TRACKERS:
        raise InputError(f"there is no tracker {name!r}: choose one of {', '.join(TRACKERS)}")
    return TRACKERS[name]
