"""Frames and masks: image files, sequences, video files, video streams, overlays."""

from hqtrack.video.images import (
    IMAGE_SUFFIXES,
    is_hidden,
    list_images,
    order_images,
    read_frames,
    read_image,
)
from hqtrack.video.mask_files import read_labels, write_labels
from hqtrack.video.sequences import Sequence, find_sequences, open_sequence, write_sequence

__all__ = [
    "IMAGE_SUFFIXES",
    "Sequence",
    "find_sequences",
    "is_hidden",
    "list_images",
    "open_sequence",
    "order_images",
    "read_frames",
    "read_image",
    "read_labels",
    "write_labels",
    "write_sequence",
]
