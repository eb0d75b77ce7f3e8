"""HQ-SAM: masks of high quality from points, boxes and masks, on top of Segment Anything."""

from hqsam.checkpoint import VARIANTS, build_hqsam
from hqsam.decoder import Prediction
from hqsam.sam import HQSam, ImageEmbedding

__all__ = ["VARIANTS", "HQSam", "ImageEmbedding", "Prediction", "build_hqsam"]
