"""The known checkpoints: finds, downloads, verifies and reads them."""

from hqtrack.weights.checkpoints import (
    KNOWN,
    PUBLISHED,
    Checkpoint,
    fetch,
    find,
    folder,
    known,
    load,
    used_by,
    verify,
)

__all__ = [
    "KNOWN",
    "PUBLISHED",
    "Checkpoint",
    "fetch",
    "find",
    "folder",
    "known",
    "load",
    "used_by",
    "verify",
]
