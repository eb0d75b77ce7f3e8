"""HQTrack: tracking anything in high quality.

>>> from hqtrack import build_tracker
>>> tracker = build_tracker("light")
>>> tracker.initialize(image, masks)  # [H,W,3] uint8 RGB, [N,H,W] bool
>>> masks, confidence = tracker.track(next_image)  # [N,H,W] bool, [N] in [0, 1]

The public names load on first use, so that importing this package is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hqtrack.build import build_tracker
    from hqtrack.errors import InputError, MissingFileError
    from hqtrack.tracker import HQTracker, Tracked, Tracker

__all__ = [
    "HQTracker",
    "InputError",
    "MissingFileError",
    "Tracked",
    "Tracker",
    "build_tracker",
]

_HOMES = {
    "HQTracker": "hqtrack.tracker",
    "InputError": "hqtrack.errors",
    "MissingFileError": "hqtrack.errors",
    "Tracked": "hqtrack.tracker",
    "Tracker": "hqtrack.tracker",
    "build_tracker": "hqtrack.build",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hqtrack' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
