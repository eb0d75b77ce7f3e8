"""What a tracker process writes of its steps is read back."""

import numpy as np

from hqtrack.video.run_lengths import encode_mask
from hqtrack.vot.trace import TracedFrame


def test_the_step_of_a_trace_covers_the_objects_that_were_not_tracked() -> None:
    masks = np.zeros((2, 4, 6), np.bool_)
    masks[0, 1:3, 2:5] = True
    masks[1, 0, 0] = True
    encoded = [encode_mask(mask) for mask in masks]
    traced = TracedFrame({}, [0, 2], [True, False], [0.5, 0.0], encoded, encoded[::-1], [([0], 1)])
    step = traced.step((4, 6))
    assert step is not None
    assert np.array_equal(step.coarse, [masks[0], np.zeros((4, 6)), masks[1]])
    assert step.selection is not None
    assert step.selection.refined.tolist() == [True, False, False]
    assert np.array_equal(step.selection.masks, [masks[1], np.zeros((4, 6)), masks[1]])
    assert step.memory[0].short_term == 1
