"""HQ-SAM: high-quality masks from points, boxes and masks, based on Segment Anything."""

from hqsam.checkpoint import VARIANTS, build_hqsam
from hqsam.decoder import Prediction
from hqsam.sam import HQSam, ImageEmbedding

__all__ = ["VARIANTS", "HQSam", "ImageEmbedding", "Prediction", "build_hqsam"]
