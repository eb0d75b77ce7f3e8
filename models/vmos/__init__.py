"""VMOS: video multi-object segmentation by gated propagation of identities."""

from vmos.checkpoint import CheckpointError, build_vmos
from vmos.config import InternImageConfig, TimmConfig, VMOSConfig
from vmos.vmos import VMOS, FrameMemory, Propagated

__all__ = [
    "VMOS",
    "CheckpointError",
    "FrameMemory",
    "InternImageConfig",
    "Propagated",
    "TimmConfig",
    "VMOSConfig",
    "build_vmos",
]
