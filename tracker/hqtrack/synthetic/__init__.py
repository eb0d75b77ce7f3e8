"""Generated sequences with exact masks."""

from hqtrack.synthetic.scene import (
    DEMO_SEEDS,
    FRAMES,
    MAX_OBJECTS,
    OBJECTS,
    RESERVED_SEED,
    SIZE,
    Scene,
    SyntheticSequence,
    generate,
)

__all__ = [
    "DEMO_SEEDS",
    "FRAMES",
    "MAX_OBJECTS",
    "OBJECTS",
    "RESERVED_SEED",
    "SIZE",
    "Scene",
    "SyntheticSequence",
    "generate",
]
