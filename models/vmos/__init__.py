"""VMOS: video multi-object segmentation by gated propagation of identities."""

from vmos.checkpoint import CheckpointError, build_vmos
from vmos.config import VMOSConfig
from vmos.vmos import VMOS, FrameMemory, Propagated

__all__ = ["VMOS", "CheckpointError", "FrameMemory", "Propagated", "VMOSConfig", "build_vmos"]
