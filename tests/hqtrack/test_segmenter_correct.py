"""Corrected masks: further references of their objects, beside others that go on as they were."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hqtrack.errors import InputError
from hqtrack.segmenter import VideoObjectSegmenter
from tests.helpers.tiny_segmenter import CONFIG, HEIGHT, WIDTH, rectangles, same, start, video
from tests.helpers.tiny_vmos import tiny_vmos

# The frame before is read at once.
NEAR = replace(CONFIG, short_term_lag=1)


@pytest.fixture(scope="module")
def model():
    """Three objects per group."""
    return tiny_vmos()


def labels_given(model, action):
    """The label maps that the identity bank gets during an action, one per group."""
    given = []
    hook = model.identity.register_forward_pre_hook(
        lambda module, inputs: given.append(inputs[0][0].numpy())
    )
    action()
    hook.remove()
    return given


def test_right_after_the_reference_it_is_as_if_the_right_masks_had_been_given(model):
    images, right = video(5), rectangles(5)
    wrong = right.copy()
    wrong[[1, 4]] = rectangles(7)[5:]
    segmenter, expected = start(model, images[0], wrong), start(model, images[0], right)
    segmenter.correct(images[0], right[[4, 1]], [4, 1])
    for image in images[1:]:
        same(segmenter.step(image), expected.step(image))


def test_the_corrected_mask_wins_and_the_old_one_is_gone(model):
    """What enters memory is the propagated masks, without the old and with the new pixels."""
    images = video(2)
    segmenter = start(model, images[0], rectangles(4))
    seen = segmenter.step(images[1]).masks
    new = np.zeros((2, HEIGHT, WIDTH), bool)
    new[0, 5:30, 5:40] = new[1, 20:38, 30:50] = True
    first, second = labels_given(model, lambda: segmenter.correct(images[1], new, np.array([1, 3])))
    assert (seen[1] & ~new.any(axis=0)).any()
    free = ~new.any(axis=0)
    old = (seen[0] & free) + 3 * (seen[2] & free)
    np.testing.assert_array_equal(first, np.where(new[0] & ~new[1], 2, old))
    np.testing.assert_array_equal(second, new[1])


def test_groups_without_a_corrected_object_go_on_as_if_nothing_had_happened(model):
    images, masks = video(3), rectangles(6)
    segmenter, alone = (start(model, images[0], masks, NEAR) for _ in range(2))
    seen = segmenter.step(images[1])
    alone.step(images[1])
    right = seen.masks[4:5].copy()
    segmenter.correct(images[1], right, [4])
    found = []
    hook = model.head.register_forward_hook(lambda *args: found.append(args[2]))
    segmenter.propagate(images[2])
    alone.propagate(images[2])
    hook.remove()
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[1], found[3])
    assert [frames.long_term for frames in segmenter.frames_read] == [(0,), (0, 1)]


def test_corrected_frames_are_never_dropped_and_the_same_frame_counts_once(model):
    images = video(25)
    segmenter = start(model, images[0], rectangles(2))
    for number, image in enumerate(images[1:], start=1):
        segmenter.step(image)
        if number in (2, 5):
            segmenter.correct(image, rectangles(1, seed=number), [1])
            segmenter.correct(image, rectangles(1, seed=9), [0])
    (read,) = segmenter.frames_read
    assert read.long_term[:3] == (0, 2, 5)
    assert len(read.long_term) == CONFIG.long_term_size + 1


def test_a_saved_state_does_not_know_of_later_corrections(model):
    images = video(2)
    segmenter = start(model, images[0], rectangles(2))
    segmenter.step(images[1])
    segmenter._video.frame.trusted[:] = False
    saved = segmenter.save()
    segmenter.correct(images[1], rectangles(1), [1])
    assert segmenter._video.frame.trusted.tolist() == [False, True]
    segmenter.restore(saved)
    assert not segmenter._video.frame.trusted.any()


def test_it_may_say_that_an_object_is_not_there(model):
    images = video(3)
    segmenter = start(model, images[0], rectangles(2))
    segmenter.step(images[1])
    nothing = np.zeros((1, HEIGHT, WIDTH), bool)
    (given,) = labels_given(model, lambda: segmenter.correct(images[1], nothing, [1]))
    assert not (given == 2).any()
    assert segmenter.step(images[2]).masks.shape == (2, HEIGHT, WIDTH)


def test_before_memorize_it_takes_its_place(model):
    images = video(3)
    first, second = (start(model, images[0], rectangles(4), NEAR) for _ in range(2))
    first.step(images[1])
    second.propagate(images[1])
    for segmenter in (first, second):
        segmenter.correct(images[1], rectangles(1, seed=3), [3])
        with pytest.raises(InputError, match="already in memory"):
            segmenter.memorize(np.zeros((4, HEIGHT, WIDTH), bool))
    same(first.propagate(images[2]), second.propagate(images[2]))


def test_objects_may_be_added_and_corrected_on_one_frame_in_any_order(model):
    images, new, right = video(3), rectangles(2, seed=3), rectangles(1, seed=4)
    first, second = (start(model, images[0], rectangles(2), NEAR) for _ in range(2))
    for segmenter in (first, second):
        segmenter.step(images[1])
    right &= ~new.any(axis=0)
    first.add_objects(images[1], new)
    first.correct(images[1], right, [0])
    second.correct(images[1], right, [0])
    second.add_objects(images[1], new)
    same(first.step(images[2]), second.step(images[2]))


def test_what_cannot_be_used_is_refused_and_nothing_changes(model):
    images = video(4)
    with pytest.raises(InputError, match="give the first frame and its masks first"):
        VideoObjectSegmenter(model).correct(images[0], rectangles(1), [0])
    segmenter, expected = (start(model, images[0], rectangles(2)) for _ in range(2))
    for known in (segmenter, expected):
        known.step(images[1])
    bad = [
        (images[2], rectangles(1), [0], "another image"),
        (images[1], rectangles(1)[:, :-1], [0], "give masks of the size of the image"),
        (images[1], rectangles(1), [2], "no object 2 to correct: the video has 2"),
        (images[1], rectangles(1), [], "1 masks for 0 objects"),
        (images[1], rectangles(0), [], "give at least one object"),
        (images[1], rectangles(2), [1, 1], "corrected twice"),
        (None, rectangles(1), [0], "the image is a NoneType"),
    ]
    for image, masks, objects, message in bad:
        with pytest.raises(InputError, match=message):
            segmenter.correct(image, masks, objects)
    same(segmenter.step(images[2]), expected.step(images[2]))


def test_a_saved_state_is_gone_back_to_any_number_of_times(model):
    """Whatever comes after it: more frames, corrections, objects, another video."""
    images = video(12)
    segmenter = start(model, images[0], rectangles(4))
    for image in images[1:5]:
        segmenter.step(image)
    saved = segmenter.save()
    expected = [segmenter.step(image) for image in images[5:]]
    for disturb in (
        lambda: segmenter.correct(images[11], rectangles(1, seed=5), [1]),
        lambda: segmenter.add_objects(images[11], rectangles(1, seed=6)),
        lambda: segmenter.add_reference(images[2], rectangles(2)),
    ):
        disturb()
        segmenter.restore(saved)
        for image, wanted in zip(images[5:], expected, strict=True):
            same(segmenter.step(image), wanted)
    with pytest.raises(TypeError, match="no state of a video"):
        segmenter.restore(None)
