"""The known checkpoints: where they lie, how they are fetched, checked and read."""

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
