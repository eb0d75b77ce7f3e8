"""The light preset: a small VMOS that runs on a laptop."""

from hqtrack.segmenter import SegmenterConfig
from vmos.config import VMOSConfig

LIGHT_VMOS = VMOSConfig(
    stride=2,
    encoder_widths=(32, 64, 128),
    encoder_depths=(1, 2, 10),
    encoder_groups=(2, 4, 8),
    widths=(16, 32, 64),
    coarse_layers=2,
    norm_groups=8,
)

LIGHT_SEGMENTER = SegmenterConfig(
    min_short_edge=0,
    max_long_edge=448,
    long_term_gap=20,
    long_term_size=2,
    short_term_lag=4,
)
