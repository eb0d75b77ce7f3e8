"""The known checkpoints: finds, downloads, verifies and reads them."""

from hqtrack.weights.checkpoints import (
    KNOWN,
    Checkpoint,
    fetch,
    find,
    folder,
    known,
    load,
    note_checksum,
    verify,
)

__all__ = [
    "KNOWN",
    "Checkpoint",
    "fetch",
    "find",
    "folder",
    "known",
    "load",
    "note_checksum",
    "verify",
]
