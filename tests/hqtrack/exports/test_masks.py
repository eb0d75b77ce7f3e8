"""Masks of a stored frame."""

import numpy as np

from hqtrack.exports.masks import label_map, object_mask
from hqtrack.exports.stored import open_run
from tests.helpers.followed import followed


def test_masks_are_those_that_were_stored(folder):
    record = list(open_run(folder).records())[3]
    cat, other = followed(7).masks
    np.testing.assert_array_equal(label_map(record), 3 * cat + 500 * other.astype(int))
    np.testing.assert_array_equal(object_mask(record, 500), other)
    assert not object_mask(record, 7).any()
