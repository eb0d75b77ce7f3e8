"""What memory forgets of the background of reference frames."""

import numpy as np
import torch

from hqtrack.references import Reference
from tests.helpers.drawn import SIZE, drawn

UNKNOWN = 9

OBJECTS = np.stack([drawn((2, 8, 5, 11)), drawn((30, 0, 31, 1))])
KNOWN = ~drawn((0, 6, 7, 13), (29, 0, 32, 2))


def reference(scale=1):
    labels = torch.from_numpy(OBJECTS[0] + 2 * OBJECTS[1].astype(np.int64))
    labels = labels[::scale, ::scale][None]
    return Reference.of(None, labels, OBJECTS, 0.5)


def test_the_background_near_the_objects_is_never_forgotten():
    """Near is half the longer side of a box: 2 pixels for one object, 1 for the other."""
    np.testing.assert_array_equal(reference().background, KNOWN)
    everything = np.ones((1, *SIZE), np.bool_)
    known = reference().without(everything, np.array([3.0]), UNKNOWN)
    expected = reference().labels.where(torch.from_numpy(~KNOWN), UNKNOWN)
    assert torch.equal(known.labels, expected)
    assert not known.background.any()
    assert known.without(everything, np.array([3.0]), UNKNOWN) is known


def test_the_background_around_rivals_is_forgotten():
    """The second object has no rival; what was forgotten is forgotten once."""
    rivals = np.stack([drawn((20, 10, 21, 10), (39, 19, 39, 19)), drawn()])
    known = reference().without(rivals, np.array([2.0, 5.0]), UNKNOWN)
    forgotten = drawn((18, 8, 23, 12), (37, 17, 39, 19))
    np.testing.assert_array_equal(known.labels[0].numpy() == UNKNOWN, forgotten)
    np.testing.assert_array_equal(known.background, KNOWN & ~forgotten)
    assert known.without(rivals, np.array([9.0, 9.0]), UNKNOWN) is known
    more = known.without(np.stack([drawn(), drawn((24, 10, 24, 10))]), np.array([2.0, 1]), UNKNOWN)
    added = drawn((24, 9, 25, 11)) & ~forgotten
    np.testing.assert_array_equal(more.background, known.background & ~added)


def test_rivals_where_memory_forgets_nothing_change_nothing():
    before = reference()
    on_objects = np.stack([drawn((29, 0, 32, 2)), drawn((0, 6, 7, 13))])
    assert before.without(on_objects, np.array([9.0, 9.0]), UNKNOWN) is before
    assert before.without(np.zeros((0, *SIZE), np.bool_), np.empty(0), UNKNOWN) is before


def test_labels_may_be_smaller_than_the_frame():
    known = reference(scale=2).without(drawn((20, 10, 21, 11))[None], np.array([2.0]), UNKNOWN)
    forgotten = drawn((18, 8, 23, 13))[::2, ::2]
    np.testing.assert_array_equal(known.labels[0].numpy() == UNKNOWN, forgotten)
