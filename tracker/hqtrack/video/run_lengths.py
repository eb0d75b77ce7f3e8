"""Masks as text: COCO run lengths."""

import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths  # type: ignore[import-untyped]


def encode_mask(mask: NDArray[np.bool_]) -> str:
    """The run lengths of a mask [H,W] in COCO's text format."""
    columns_first = cv2.transpose(mask.view(np.uint8)).T  # much faster than in numpy
    counts: bytes = run_lengths.encode(columns_first)["counts"]
    return counts.decode("ascii")


def decode_mask(text: str, height: int, width: int) -> NDArray[np.bool_]:
    """The mask [H,W] from the text of ``encode_mask``."""
    with warnings.catch_warnings():
        # numpy 2 warns about pycocotools' array class
        warnings.simplefilter("ignore", DeprecationWarning)
        mask: NDArray[np.uint8] = run_lengths.decode({"size": [height, width], "counts": text})
    return mask.astype(np.bool_)
