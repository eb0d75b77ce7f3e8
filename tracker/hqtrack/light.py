"""The light preset: a small VMOS that runs on a laptop's CPU."""

from hqtrack.segmenter import SegmenterConfig
from vmos.config import LIGHT_VMOS

__all__ = ["LIGHT_SEGMENTER", "LIGHT_VMOS"]

LIGHT_SEGMENTER = SegmenterConfig(
    min_short_edge=256,
    max_long_edge=512,
    long_term_gap=20,
    long_term_size=2,
    short_term_lag=1,
    small_object=75,
    fine_long_edge=864,
    sharpness=1.2,
    object_bias=0.3,
)
