"""Objects given later: groups that are filled, a reference that stays, a video not forgotten."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hqtrack.errors import InputError
from tests.helpers.tiny_segmenter import CONFIG, HEIGHT, WIDTH, rectangles, same, start, video
from tests.helpers.tiny_vmos import tiny_vmos

# The frame before is read at once.
NEAR = replace(CONFIG, short_term_lag=1)


@pytest.fixture(scope="module")
def model():
    """Three objects per group."""
    return tiny_vmos()


@pytest.mark.parametrize(("before", "added", "groups"), [(1, 2, 1), (2, 2, 2), (3, 1, 2)])
def test_a_group_is_filled_before_the_next_is_opened(model, before, added, groups):
    images, masks = video(3), rectangles(before + added)
    segmenter = start(model, images[0], masks[:before])
    segmenter.step(images[1])
    segmenter.add_objects(images[1], masks[before:])
    heads = []
    hook = model.head.register_forward_hook(lambda *_: heads.append(1))
    segmented = segmenter.step(images[2])
    hook.remove()
    assert segmented.masks.shape[0] == segmented.confidence.shape[0] == before + added
    assert len(heads) == groups


def test_right_after_the_reference_it_is_as_if_all_were_given_at_once(model):
    images, masks = video(4), rectangles(5)
    expected = start(model, images[0], masks)
    segmenter = start(model, images[0], masks[:2])
    segmenter.add_objects(images[0], masks[2:4])
    segmenter.add_objects(images[0], masks[4:])
    for image in images[1:]:
        seen, wanted = segmenter.step(image), expected.step(image)
        np.testing.assert_array_equal(seen.masks, wanted.masks)
        np.testing.assert_allclose(seen.confidence, wanted.confidence, atol=1e-6)


def test_the_video_is_not_forgotten(model):
    """A full group that new objects do not join goes on as if nothing had happened."""
    images, masks = video(3), rectangles(5)
    segmenter, alone = (start(model, images[0], masks[:3], NEAR) for _ in range(2))
    seen = segmenter.step(images[1])
    alone.propagate(images[1])
    alone.memorize(seen.masks & ~masks[3:].any(axis=0))
    segmenter.add_objects(images[1], masks[3:])
    found = []
    hook = model.head.register_forward_hook(lambda *args: found.append(args[2]))
    segmenter.propagate(images[2])
    alone.propagate(images[2])
    hook.remove()
    with_others, fresh, without = found
    assert torch.equal(with_others, without)
    assert not torch.equal(fresh, without)


def test_existing_objects_keep_their_masks_and_new_ones_win(model):
    """What enters memory is the propagated masks with the new ones painted over them."""
    images = video(2)
    segmenter = start(model, images[0], rectangles(2))
    seen = segmenter.step(images[1]).masks
    new = np.zeros((2, HEIGHT, WIDTH), bool)
    new[0, 5:30, 5:40] = new[1, 20:38, 30:50] = True
    assert (new.any(axis=0) & seen.any(axis=0)).any()
    given = []
    hook = model.identity.register_forward_pre_hook(
        lambda module, inputs: given.append(inputs[0][0].numpy())
    )
    segmenter.add_objects(images[1], new)
    hook.remove()
    labels = seen[0] + 2 * seen[1].astype(int)
    labels[new[0]] = 3
    labels[new[1]] = 0
    np.testing.assert_array_equal(given[0], labels)
    np.testing.assert_array_equal(given[1], new[1].astype(int))
    assert len(given) == 2


def test_the_frame_is_a_reference_that_is_never_dropped(model):
    read = []
    layer = model.propagation.coarse_layers[0].long_term
    hook = layer.register_forward_pre_hook(lambda module, inputs: read.append(inputs[1].key))
    images = video(25)
    segmenter = start(model, images[0], rectangles(2))
    segmenter.step(images[1])
    segmenter.step(images[2])
    read.clear()
    segmenter.add_objects(images[2], rectangles(1, seed=2))
    (second_reference,) = read
    for image in images[3:]:
        segmenter.step(image)
    hook.remove()
    tokens = second_reference.shape[1]
    last = read[-1]
    assert last.shape[1] == CONFIG.long_term_size * tokens
    assert torch.equal(last[:, tokens : 2 * tokens], second_reference)


def test_all_objects_go_on_after_several_additions(model):
    images = video(10)
    segmenter = start(model, images[0], rectangles(1))
    for number, image in enumerate(images[1:], start=1):
        masks = segmenter.step(image).masks
        assert masks.shape[0] == number
        segmenter.add_objects(image, rectangles(1, seed=number))


def test_before_memorize_it_takes_its_place(model):
    images = video(3)
    first, second = (start(model, images[0], rectangles(3), NEAR) for _ in range(2))
    first.step(images[1])
    second.propagate(images[1])
    for segmenter in (first, second):
        segmenter.add_objects(images[1], rectangles(1, seed=3))
        with pytest.raises(InputError, match="already in memory"):
            segmenter.memorize(np.zeros((4, HEIGHT, WIDTH), bool))
    same(first.propagate(images[2]), second.propagate(images[2]))


def test_wrong_images_and_masks_are_refused_and_nothing_changes(model):
    images = video(4)
    segmenter, expected = (start(model, images[0], rectangles(2)) for _ in range(2))
    for known in (segmenter, expected):
        known.step(images[1])
    bad = [
        (images[2], rectangles(1), "another image"),
        (images[0], rectangles(1), "another image"),
        (images[1][:-1], rectangles(1)[:, :-1], "another image"),
        (images[1], rectangles(1)[:, :-1], "give masks of the size of the image"),
        (images[1], np.zeros((1, HEIGHT, WIDTH), bool), "empty first mask"),
        (images[1], rectangles(1)[:0], "at least one mask"),
        (None, rectangles(1), "the image is a NoneType"),
    ]
    for image, masks, message in bad:
        with pytest.raises(InputError, match=message):
            segmenter.add_objects(image, masks)
    same(segmenter.step(images[2]), expected.step(images[2]))
