"""Files on disk: those that ship with this package."""

from pathlib import Path


def shipped(name: str) -> Path:
    """A file that is part of this package, by its name in ``hqtrack/data``."""
    return Path(__file__).with_name("data") / name
