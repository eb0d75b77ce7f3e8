"""HQTrack: tracks any number of objects through a video.

>>> from hqtrack import build_tracker, masks, synthetic
>>> images, labels = synthetic.generate(seed=1, frames=3, objects=2)  # [F,H,W,3] uint8, [F,H,W]
>>> tracker = build_tracker("light")
>>> tracker.initialize(images[0], masks.labels_to_masks(labels[0], 2))  # [H,W,3], [N,H,W] bool
>>> found, confidence = tracker.track(images[1])  # [N,H,W] bool, [N] in [0, 1]
>>> found.shape, confidence.shape
((2, 180, 320), (2,))

``open_source(...).read()`` gives the frames of a video, a folder of images or a camera.

The public names load on first use, so that importing this package is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hqtrack.build import build_refiner, build_tracker
    from hqtrack.errors import InputError, MissingFileError
    from hqtrack.refiner import Candidates, MaskRefiner
    from hqtrack.tracker import HQTracker, Tracked, Tracker
    from hqtrack.video.sources import Source, open_source
    from hqtrack.video.streams import Frame

__all__ = [
    "Candidates",
    "Frame",
    "HQTracker",
    "InputError",
    "MaskRefiner",
    "MissingFileError",
    "Source",
    "Tracked",
    "Tracker",
    "build_refiner",
    "build_tracker",
    "open_source",
]

_HOMES = {
    "Candidates": "hqtrack.refiner",
    "Frame": "hqtrack.video.streams",
    "HQTracker": "hqtrack.tracker",
    "InputError": "hqtrack.errors",
    "MaskRefiner": "hqtrack.refiner",
    "MissingFileError": "hqtrack.errors",
    "Source": "hqtrack.video.sources",
    "Tracked": "hqtrack.tracker",
    "Tracker": "hqtrack.tracker",
    "build_refiner": "hqtrack.build",
    "build_tracker": "hqtrack.build",
    "open_source": "hqtrack.video.sources",
}


def version() -> str:
    """The installed version, or "(not installed)" for a checkout that is only on the path."""
    from importlib import metadata

    try:
        return metadata.version("hqtrack")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'hqtrack' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
