"""Masks on tensors: equal to masks on arrays; the tables of cases are in the tests of these."""

import numpy as np
import pytest
import torch

from hqtrack import masks, selection
from hqtrack.device_masks import label_type
from tests.helpers import on_tensors

CASES = 1000


def random_case(rng):
    """Coarse masks, candidates and scores of up to 12 objects; many empty, equal or overlapping."""
    count, alternatives = rng.integers(0, 13), rng.integers(1, 4)
    height, width = rng.integers(1, 12, 2)
    density = rng.choice([0.0, 0.1, 0.5, 0.9, 1.0], (count, 1, 1))
    coarse = rng.random((count, height, width)) < density
    noise = rng.random((count, alternatives, height, width)) < rng.choice([0.0, 0.1, 0.5])
    candidates = coarse[:, None] ^ noise
    scores = rng.integers(-2, 3, (count, alternatives)).astype(np.float32)
    return coarse, candidates, scores


def same(found, expected):
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected, strict=True)


def test_random_cases_are_equal_bit_for_bit():
    rng = np.random.default_rng(0)
    refined = []
    for _ in range(CASES):
        coarse, candidates, scores = random_case(rng)
        sure = rng.choice([0.2, 0.5, 0.9], len(coarse)).astype(np.float32)
        confidence = sure if rng.integers(2) else None
        rules = float(rng.choice([0.1, 0.3, 0.5, 0.9])), bool(rng.integers(2)), confidence
        for one, other in zip(
            on_tensors.select_masks(coarse, candidates, scores, *rules),
            selection.select_masks(coarse, candidates, scores, *rules),
            strict=True,
        ):
            same(one, other)
        refined += selection.select_masks(coarse, candidates, scores, *rules).refined.tolist()
        same(on_tensors.mask_boxes(coarse), masks.mask_boxes(coarse))
        same(
            on_tensors.mask_iou(candidates[:, 0], coarse), masks.mask_iou(candidates[:, 0], coarse)
        )
        for given in ((coarse,), (coarse, sure)):
            same(on_tensors.separate_masks(*given), selection.separate_masks(*given))
        kind = rng.choice([np.uint8, np.int16, np.int32])
        labels, count = rng.integers(0, 14, coarse.shape[1:]).astype(kind), int(rng.integers(13))
        same(on_tensors.labels_to_masks(labels, count), masks.labels_to_masks(labels, count))
    assert 0.2 < np.mean(refined) < 0.8


@pytest.mark.parametrize(
    ("objects", "kind"),
    [
        (0, torch.uint8),
        (255, torch.uint8),
        (256, torch.int16),
        (32767, torch.int16),
        (32768, torch.int32),
    ],
)
def test_labels_take_no_more_bytes_than_they_need(objects, kind):
    assert label_type(objects) == kind
