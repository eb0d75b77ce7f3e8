"""The rules by which HQTrack reports masks and writes memory: values, and decisions on arrays.

``PUBLISHED`` are those of HQTrack. ``PLUS`` drop what an object cannot have reached, and doubt an
object whose confidence or area falls out of what it was on the frames before. With little
confidence it enters memory as unknown; with very little it is not there. What was dropped is no
evidence against an object. Noisy frames are smoothed, and masks follow the edges of the others.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.presets import RULE_NAMES
from hqtrack.types import Masks, Scores

WINDOW = 10
"""Frames on which an object was seen, the last ones, with which it is compared."""


@dataclass(frozen=True)
class SelectionRules:
    """The choice between coarse and refined masks.

    Attributes:
        min_iou: a candidate replaces the coarse mask only if their IoU is at least this.
        nearest: whether the candidate with the highest IoU is taken, not the one with the highest
            predicted score.
        confident_first: whether a pixel that several of the selected masks cover goes to the object
            with the highest confidence, not to the one with the lowest index.
    """

    min_iou: float = 0.1
    nearest: bool = False
    confident_first: bool = False


@dataclass(frozen=True)
class MemoryRules:
    """What cannot be, what is doubted, and what both do to memory.

    An object is trusted on a frame if it is seen, its confidence is not below ``min_confidence`` or
    not below ``usual`` times the median of its last confidences, and its area is within a factor of
    ``max_jump`` of the median of its last areas.

    Attributes:
        min_presence: an object with less confidence is not there: its mask is empty.
        min_confidence: see above; 0 trusts every confidence.
        usual: see above. An object that is never certain is so compared with itself.
        max_jump: see above.
        min_known: an object that is not trusted and has less confidence enters memory without an
            identity.
        min_known_later: takes the place of ``min_known`` for an object that was not trusted for
            more than ``WINDOW`` frames, because memory has nothing better.
        wait: whether a frame on which no object of a group is trusted does not enter the group's
            long-term memory; the next one may.
        hold: for how many frames short-term memory stays at the last frame on which an object of
            the group was trusted.
        max_speed: parts of a mask are dropped that the object cannot have reached since it was last
            trusted, moving in each frame by so many times the longer side of its box, if what is
            left is no jump of its area; see `hqtrack.places`. Infinite keeps all.
        forget_around: where such parts are dropped, reference frames forget their background, up to
            so many times the longer side of the object's box; see `hqtrack.references`. What looks
            like the object is then nobody's there, and no evidence against the object. 0 forgets
            nothing.
    """

    min_presence: float = 0.0
    min_confidence: float = 0.0
    usual: float = math.inf
    max_jump: float = math.inf
    min_known: float = 0.0
    min_known_later: float = 0.0
    wait: bool = False
    hold: int = 0
    max_speed: float = math.inf
    forget_around: float = 0.0

    @property
    def drops_far_parts(self) -> bool:
        """Whether parts of masks may be dropped."""
        return math.isfinite(self.max_speed)

    @property
    def forgets_background(self) -> bool:
        """Whether reference frames may be written into memory again."""
        return self.drops_far_parts and self.forget_around > 0

    @property
    def needs_places(self) -> bool:
        """Whether it matters where and when objects were last trusted."""
        return self.drops_far_parts or max(self.min_known, self.min_known_later) > 0

    @property
    def changes_masks(self) -> bool:
        """Whether masks may differ from what the network found."""
        return self.drops_far_parts or self.min_presence > 0


@dataclass(frozen=True)
class SightRules:
    """How VMOS sees a frame.

    Attributes:
        max_noise: a frame with more noise is smoothed, grey levels; see `hqtrack.noise`.
        sharp: whether masks follow the edges of a frame that was not, see `hqtrack.edges`.
    """

    max_noise: float = math.inf
    sharp: bool = False


@dataclass(frozen=True)
class Rules:
    """All rules of a tracker, see each kind."""

    selection: SelectionRules = SelectionRules()
    memory: MemoryRules = MemoryRules()
    sight: SightRules = SightRules()

    def with_min_iou(self, min_iou: float) -> "Rules":
        """The same rules with another IoU from which on a refined mask is reported."""
        return replace(self, selection=replace(self.selection, min_iou=min_iou))


class Past(NamedTuple):
    """The last frames on which each of N objects was seen, oldest first; NaN where there are less.

    Attributes:
        confidence: [N,WINDOW] in [0, 1].
        area: [N,WINDOW], pixels.
    """

    confidence: Scores
    area: Scores


def no_past(objects: int) -> Past:
    """The past of objects of which nothing is known."""
    return Past(*(np.full((objects, WINDOW), np.nan, np.float32) for _ in Past._fields))


def add_frame(past: Past, confidence: Scores, area: Scores) -> Past:
    """The past after a frame with these confidences [N] and areas [N]; area 0 is not seen.

    An object that is not seen keeps its past, however long it is away.
    """
    seen = area[:, None] > 0
    return Past(
        *(
            np.where(seen, np.concatenate([old[:, 1:], new[:, None]], axis=1), old)
            for old, new in zip(past, (confidence, area), strict=True)
        )
    )


def add_objects(past: Past, area: Scores) -> Past:
    """The past with further objects, which were given on the newest frame with these areas [M]."""
    joined = add_frame(no_past(len(area)), np.full(len(area), np.nan, np.float32), area)
    return Past(*(np.concatenate(parts) for parts in zip(past, joined, strict=True)))


def trusted(past: Past, confidence: Scores, area: Scores, rules: MemoryRules) -> NDArray[np.bool_]:
    """Which objects are trusted on a frame, [N]; see `MemoryRules`."""
    usual_confidence, usual_area = (_median(values) for values in past)
    with np.errstate(invalid="ignore"):
        least = np.fmin(rules.min_confidence, rules.usual * usual_confidence)
    jumps = np.abs(np.log(np.maximum(area, 1) / usual_area)) > math.log(rules.max_jump)
    return (area > 0) & (confidence >= least) & ~jumps


def known(
    confidence: Scores, doubted: NDArray[np.integer], rules: MemoryRules
) -> NDArray[np.bool_]:
    """Which objects enter memory with their identity, [N].

    Args:
        confidence: [N]; an object that was given, not tracked, has none and is known.
        doubted: [N], for how many frames each object has not been trusted, with this one.
        rules: see `MemoryRules`.
    """
    if not rules.needs_places:
        return np.ones(confidence.shape, np.bool_)
    least = np.where(doubted > WINDOW, rules.min_known_later, rules.min_known)
    return (doubted == 0) | ~(confidence < least)


def present(masks: Masks, confidence: Scores, rules: MemoryRules) -> Masks:
    """The masks [N,H,W]; those of objects with too little confidence [N] are empty."""
    absent = confidence < rules.min_presence
    return np.where(absent[:, None, None], False, masks) if absent.any() else masks


def least_area(past: Past, rules: MemoryRules) -> NDArray[np.float64]:
    """The smallest area of each object [N] that is no jump, pixels; NaN where nothing is known."""
    return _median(past.area) / rules.max_jump


def _median(values: Scores) -> NDArray[np.float64]:
    """The median of each row [N,WINDOW] without its NaN; NaN for a row without a value."""
    ordered = np.sort(values, axis=1)  # NaN come last
    known = np.count_nonzero(~np.isnan(values), axis=1)
    rows = np.arange(len(values))
    low, high = (ordered[rows, np.maximum(place, 0)] for place in ((known - 1) // 2, known // 2))
    return (low + high).astype(np.float64) / 2


PUBLISHED = Rules()
PLUS = Rules(
    selection=SelectionRules(min_iou=0.75, nearest=True, confident_first=True),
    memory=MemoryRules(
        min_presence=0.25,
        min_confidence=0.8,
        usual=0.9,
        max_jump=1.5,
        min_known=0.6,
        min_known_later=0.4,
        wait=True,
        hold=10,
        max_speed=0.25,
        forget_around=0.5,
    ),
    sight=SightRules(max_noise=9.0, sharp=True),
)

RULES = dict(zip(RULE_NAMES, (PUBLISHED, PLUS), strict=True))
"""All rules, by their names."""


def find_rules(name: str) -> Rules:
    """The rules of this name; raises InputError where there are none."""
    if name not in RULES:
        raise InputError(f"there are no rules {name!r}: choose {' or '.join(RULES)}")
    return RULES[name]


def rules_name(rules: Rules) -> str:
    """The name of these rules, "custom" for others than those of `RULES`."""
    return next((name for name, known in RULES.items() if known == rules), "custom")
