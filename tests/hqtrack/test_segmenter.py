"""Properties of tracking with small random networks: groups, memory, bad input."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from hqtrack import decoding, device_edges
from hqtrack import segmenter as segmenter_module
from hqtrack.errors import InputError
from hqtrack.masks import labels_to_masks
from hqtrack.memory_writer import MemoryWriter
from hqtrack.preprocess import prepare_frame
from hqtrack.rules import MemoryRules, SightRules
from hqtrack.segmenter import SegmenterConfig, VideoObjectSegmenter
from tests.helpers.tiny_segmenter import CONFIG, HEIGHT, WIDTH, rectangles, same, start, video
from tests.helpers.tiny_vmos import tiny_vmos


@pytest.fixture(scope="module")
def model():
    """Three objects per group."""
    return tiny_vmos()


@pytest.fixture(scope="module")
def ten():
    """Ten objects per group."""
    return tiny_vmos(objects=10)


@pytest.fixture
def heads(model, ten):
    """The logits of every group since the list was last cleared."""
    logits = []
    hooks = [
        network.head.register_forward_hook(lambda module, inputs, output: logits.append(output))
        for network in (model, ten)
    ]
    yield logits
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize("count", [1, 3, 4, 11])
def test_masks_have_the_frame_s_size_and_never_overlap(model, count):
    images = video(4)
    segmenter = start(model, images[0], rectangles(count))
    for image in images[1:]:
        masks, confidence = segmenter.step(image)
        assert masks.shape == (count, HEIGHT, WIDTH)
        assert masks.dtype == bool
        assert masks.any()
        assert masks.sum(axis=0).max() == 1
        assert confidence.shape == (count,)
        assert confidence.dtype == np.float32
        assert ((confidence >= 0) & (confidence <= 1)).all()
        assert (confidence[masks.any(axis=(1, 2))] > 0).any()
        assert not confidence[~masks.any(axis=(1, 2))].any()


def test_a_step_is_propagate_and_memorize(model):
    images = video(5)
    whole, parts = (start(model, images[0], rectangles(4)) for _ in range(2))
    for image in images[1:]:
        segmented = parts.propagate(image)
        parts.memorize(segmented.masks)
        same(whole.step(image), segmented)


def test_masks_found_are_memorized_unless_others_are_given(model):
    images = video(5)
    found, given = (start(model, images[0], rectangles(4)) for _ in range(2))
    for image in images[1:]:
        found.propagate(image)
        found.memorize()
        masks = given.propagate(image).masks
        given.memorize(masks)
    same(found.propagate(images[1]), given.propagate(images[1]))


def test_what_is_memorized_decides_what_is_seen_next(model):
    images = video(5)
    outcomes = []
    for shift in (0, 20):
        segmenter = start(model, images[0], rectangles(2))
        for image in images[1:4]:
            masks = segmenter.propagate(image).masks
            segmenter.memorize(np.roll(masks, shift, axis=2))
        outcomes.append(segmenter.propagate(images[4]).masks)
    assert not np.array_equal(*outcomes)


def test_propagate_leaves_memory_as_it_is(model):
    images = video(6)
    expected = start(model, images[0], rectangles(4))
    segmenter = start(model, images[0], rectangles(4))
    for image in images[1:4]:
        expected.step(image)
        segmenter.step(image)
    segmenter.propagate(images[4])
    segmenter.propagate(images[5])
    same(segmenter.propagate(images[4]), expected.propagate(images[4]))


def test_permuted_objects_have_permuted_masks(ten):
    """Channels of the identity bank and of the head are permuted alike."""
    images, masks = video(5), rectangles(10)
    order = np.random.default_rng(1).permutation(10)
    channels = torch.tensor([0, *(order + 1)])
    permuted = tiny_vmos(objects=10)
    with torch.no_grad():
        for bank in (permuted.identity.coarse, permuted.identity.fine):
            bank.weight.copy_(bank.weight[:, channels])
        permuted.head.classify.weight.copy_(permuted.head.classify.weight[channels])
        permuted.head.classify.bias.copy_(permuted.head.classify.bias[channels])
    plain = start(ten, images[0], masks)
    other = start(permuted, images[0], masks[order])
    for image in images[1:]:
        expected, actual = plain.step(image), other.step(image)
        assert np.mean(actual.masks != expected.masks[order]) < 1e-3
        np.testing.assert_allclose(actual.confidence, expected.confidence[order], atol=1e-2)
    assert not np.array_equal(expected.masks[order], expected.masks)


def test_groups_may_change_places(model):
    images, masks = video(5), rectangles(6)
    order = [3, 4, 5, 0, 1, 2]
    plain, other = start(model, images[0], masks), start(model, images[0], masks[order])
    for image in images[1:]:
        expected, actual = plain.step(image), other.step(image)
        np.testing.assert_array_equal(actual.masks, expected.masks[order])
        np.testing.assert_allclose(actual.confidence, expected.confidence[order], atol=1e-6)


def test_eleven_objects_are_ten_and_one(ten, heads):
    images, masks = video(2), rectangles(11)
    recorded = []
    for part in (masks, masks[:10], masks[10:]):
        segmenter = start(ten, images[0], part)
        heads.clear()
        segmented = segmenter.propagate(images[1])
        recorded.append(list(heads))
        if len(part) == 11:
            together = segmented
    both, first, second = recorded
    assert len(both) == 2
    assert torch.equal(both[0], first[0])
    assert torch.equal(both[1], second[0])
    labels = decoding.decode_labels([first[0], second[0][:, :2]], (HEIGHT, WIDTH)).numpy()
    np.testing.assert_array_equal(together.masks, labels == np.arange(1, 12)[:, None, None])
    assert together.masks[10].any()


def test_all_groups_share_one_encoding(model):
    calls = []
    hook = model.encoder.register_forward_hook(lambda *_: calls.append(1))
    images = video(3)
    segmenter = start(model, images[0], rectangles(8))
    segmenter.step(images[1])
    segmenter.add_objects(images[1], rectangles(1))
    segmenter.step(images[2])
    hook.remove()
    assert len(calls) == 3


def test_a_new_reference_forgets_the_first_video(model):
    old, new = video(6), video(5, seed=1, height=49)
    masks = np.pad(rectangles(4, seed=1), ((0, 0), (0, 8), (0, 0)))
    segmenter = start(model, old[0], rectangles(8))
    for image in old[1:]:
        segmenter.step(image)
    segmenter.add_reference(new[0], masks)
    fresh = start(model, new[0], masks)
    for image in new[1:]:
        same(segmenter.step(image), fresh.step(image))


def test_a_refused_reference_forgets_nothing(model):
    images = video(3)
    segmenter, expected = (start(model, images[0], rectangles(2)) for _ in range(2))
    with pytest.raises(InputError):
        segmenter.add_reference(images[1], np.zeros((1, HEIGHT, WIDTH), bool))
    same(segmenter.step(images[1]), expected.step(images[1]))


def test_two_segmenters_of_one_model_know_nothing_of_each_other(model):
    a, b = video(5), video(5, seed=1)
    alone = start(model, a[0], rectangles(4))
    expected = [alone.step(image) for image in a[1:]]
    first = start(model, a[0], rectangles(4))
    second = start(model, b[0], rectangles(7, seed=1))
    for wanted, image, other in zip(expected, a[1:], b[1:], strict=True):
        same(first.step(image), wanted)
        second.step(other)


def test_the_image_is_read_at_once(model):
    """A caller may use one buffer for all frames."""
    images = video(4)
    buffer = images[0].copy()
    segmenter, expected = (start(model, image, rectangles(2)) for image in (buffer, images[0]))
    for image in images[1:]:
        buffer[:] = image
        same(segmenter.step(buffer), expected.step(image))
    buffer[:] = 0
    with pytest.raises(InputError, match="another image"):
        segmenter.add_objects(buffer, rectangles(1))
    segmenter.add_objects(images[3], rectangles(1))


def test_long_term_memory_is_flat_over_many_frames(model):
    """Tokens that long-term attention reads, frame by frame."""
    read = []
    layer = model.propagation.coarse_layers[0].long_term
    hook = layer.register_forward_pre_hook(lambda module, inputs: read.append(inputs[1].key))
    images = video(61)
    segmenter = start(model, images[0], rectangles(2))
    for image in images[1:]:
        segmenter.step(image)
    hook.remove()
    tokens = read[0].shape[1]
    counts = [key.shape[1] // tokens for key in read[1:]]
    assert counts == [1] * 3 + [2] * 3 + [3] * 54
    assert all(torch.equal(key[:, :tokens], read[0]) for key in read)


@pytest.mark.parametrize("count", [2, 3])
def test_an_object_that_vanishes_at_the_network_s_size_stays_an_object(count):
    """The network sees its third object everywhere, and there is one if one was given.

    Frames are reduced eight times, and nearest neighbour skips the one pixel of that object.
    """
    model = tiny_vmos()
    with torch.no_grad():
        model.head.classify.bias[3] = 1000.0
    images = video(2, height=200, width=320)
    masks = np.zeros((3, 200, 320), bool)
    masks[0, 20:90, 30:120] = masks[1, 100:180, 150:300] = masks[2, 7, 13] = True
    config = SegmenterConfig(min_short_edge=0, max_long_edge=40)
    segmented = start(model, images[0], masks[:count], config).step(images[1])
    assert segmented.masks.shape == (count, 200, 320)
    assert segmented.masks[2:].all()
    assert segmented.masks[:2].any() == (count == 2)


def test_more_than_255_objects(model):
    images = video(2)
    masks = np.zeros((260, HEIGHT, WIDTH), bool)
    masks.reshape(260, -1)[np.arange(260), 8 * np.arange(260)] = True
    segmenter = start(model, images[0], masks)
    segmented = segmenter.step(images[1])
    assert segmented.masks.shape == (260, HEIGHT, WIDTH)
    assert segmented.masks.sum(axis=0).max() == 1
    assert segmented.masks[256:].any()


def test_overlapping_first_masks_go_to_the_later_object(model):
    images, masks = video(2), rectangles(3)
    overlapping = masks.copy()
    overlapping[0] |= masks[2]
    expected = start(model, images[0], masks).step(images[1])
    same(start(model, images[0], overlapping).step(images[1]), expected)


def test_nothing_works_before_the_first_frame(model):
    segmenter = VideoObjectSegmenter(model)
    image, masks = video(1)[0], rectangles(1)
    for call in (
        lambda: segmenter.propagate(image),
        lambda: segmenter.step(image),
        lambda: segmenter.memorize(masks),
        lambda: segmenter.add_objects(image, masks),
    ):
        with pytest.raises(InputError, match="give the first frame and its masks first"):
            call()


@pytest.mark.parametrize(
    ("image", "masks", "message"),
    [
        (video(1)[0][..., 0], rectangles(1), "give RGB"),
        (video(1)[0] / 255, rectangles(1), "uint8"),
        (video(1)[0], rectangles(1)[0], "also for one object"),
        (video(1)[0], rectangles(1).astype(np.uint8), "give bool"),
        (video(1)[0], rectangles(1)[:, :, :-1], "56x41 and the image is 57x41"),
        (video(1)[0], rectangles(2) & [[[True]], [[False]]], "empty first mask of object 1"),
        (video(1)[0], rectangles(0), "at least one mask"),
    ],
)
def test_a_first_frame_that_cannot_be_used(model, image, masks, message):
    with pytest.raises(InputError, match=message):
        VideoObjectSegmenter(model, CONFIG).add_reference(image, masks)


def test_an_image_of_another_size_changes_nothing(model):
    images = video(3)
    segmenter, expected = (start(model, images[0], rectangles(2)) for _ in range(2))
    with pytest.raises(InputError, match="57x40 but the video started with 57x41"):
        segmenter.propagate(images[1][:-1])
    same(segmenter.step(images[1]), expected.step(images[1]))


def test_memorize_once_per_frame(model):
    images = video(2)
    segmenter = start(model, images[0], rectangles(2))
    with pytest.raises(InputError, match="already in memory"):
        segmenter.memorize(rectangles(2))
    segmenter.step(images[1])
    with pytest.raises(InputError, match="already in memory"):
        segmenter.memorize(rectangles(2))


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (rectangles(3), "3 masks and the video has 2 objects"),
        (rectangles(2)[:, 1:], "57x40 and the image is 57x41"),
        (rectangles(2).astype(np.uint8), "uint8; give bool"),
        (rectangles(2).tolist(), "list; give a numpy array"),
    ],
)
def test_masks_that_cannot_be_memorized(model, masks, message):
    images = video(2)
    segmenter = start(model, images[0], rectangles(2))
    segmenter.propagate(images[1])
    with pytest.raises(InputError, match=message):
        segmenter.memorize(masks)
    segmenter.memorize(np.zeros((2, HEIGHT, WIDTH), bool))


@pytest.mark.parametrize(
    "numbers",
    [
        {"min_short_edge": -1},
        {"max_long_edge": 0},
        {"long_term_gap": 0},
        {"long_term_size": 1},
        {"short_term_lag": 0},
        {"sharpness": 0.0},
        {"sharpness": math.nan},
        {"object_bias": math.nan},
    ],
)
def test_configurations_without_sense_are_refused(numbers):
    with pytest.raises(InputError, match=next(iter(numbers))):
        SegmenterConfig(**numbers)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    images = video(5)
    segmenters = [
        start(model, images[0], rectangles(4)) for model in (tiny_vmos(), tiny_vmos().cuda())
    ]
    for image in images[1:]:
        expected, actual = (segmenter.step(image) for segmenter in segmenters)
        assert np.mean(expected.masks != actual.masks) < 0.02
        np.testing.assert_allclose(actual.confidence, expected.confidence, atol=0.05)


@pytest.fixture
def written(monkeypatch):
    """The labels of each frame that would be written into memory, instead of writing it."""
    labels = []
    monkeypatch.setattr(
        MemoryWriter,
        "_remember",
        lambda self, video, *_: labels.append(video.frame.labels.numpy()),
    )
    return labels


def test_what_an_object_cannot_have_reached_is_neither_reported_nor_remembered(
    model, monkeypatch, written
):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:5, :5], labels[-5:, -5:] = 1, 1
    near = labels.copy()
    near[-5:, -5:] = 0
    monkeypatch.setattr(decoding, "decode_labels", lambda *_: torch.from_numpy(labels))
    images = video(2)
    for speed, expected in ((math.inf, labels), (0.5, near)):
        segmenter = VideoObjectSegmenter(model, CONFIG, rules=MemoryRules(max_speed=speed))
        segmenter.add_reference(images[0], near[None] == 1)
        np.testing.assert_array_equal(segmenter.step(images[1]).masks[0], expected == 1)
        np.testing.assert_array_equal(written.pop(), expected)


def test_noisy_frames_enter_the_network_smoothed(model):
    images = video(1)
    sight = SightRules(max_noise=1.0)
    smooth, smoothed = VideoObjectSegmenter(model, CONFIG, sight=sight)._encode(images[0], (33, 33))
    plain, untouched = VideoObjectSegmenter(model, CONFIG)._encode(images[0], (33, 33))
    prepared = prepare_frame(images[0], (33, 33), torch.device("cpu"), 1.0)
    assert torch.equal(smooth[-1], model.encode(prepared.image)[-1])
    assert not torch.equal(smooth[-1], plain[-1])
    assert (smoothed, untouched) == (True, False)


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize(
    ("sight", "follows"),
    [
        (SightRules(), False),
        (SightRules(sharp=True), True),
        (SightRules(max_noise=1.0, sharp=True), False),
    ],
)
def test_masks_follow_the_edges_of_frames_that_are_not_noisy(
    model, monkeypatch, written, sight, follows, on_device
):
    """They do so in what is reported and in what enters memory; the confidence stays."""
    images = video(2)
    plain = VideoObjectSegmenter(model, CONFIG, sight=replace(sight, sharp=False))
    plain.add_reference(images[0], rectangles(2))
    expected = plain.step(images[1])
    sharp = np.zeros((HEIGHT, WIDTH), np.uint8)
    sharp[:9, :9], sharp[9:20, 9:20] = 1, 2
    asked = []

    def follow_image(labels, found, image):
        asked.append([np.asarray(each).copy() for each in (labels, found, image)])
        return torch.from_numpy(sharp) if on_device else sharp

    owner = device_edges if on_device else segmenter_module
    monkeypatch.setattr(owner, "follow_image", follow_image)
    monkeypatch.setattr(device_edges, "is_faster_on", lambda device: on_device)
    segmenter = VideoObjectSegmenter(model, CONFIG, sight=sight)
    segmenter.add_reference(images[0], rectangles(2))
    segmented = segmenter.step(images[1])
    np.testing.assert_array_equal(segmented.confidence, expected.confidence)
    if not follows:
        assert not asked
        np.testing.assert_array_equal(segmented.masks, expected.masks)
        return
    ((labels, found, image),) = asked
    np.testing.assert_array_equal(labels_to_masks(labels, 2), expected.masks)
    assert found.shape[0] == 2
    assert found.min() >= 0
    assert found.sum(axis=0).max() <= 1 + 1e-4
    np.testing.assert_array_equal(image, images[1])
    np.testing.assert_array_equal(segmented.masks, labels_to_masks(sharp, 2))
    np.testing.assert_array_equal(written[-1], sharp)


def test_an_object_that_is_not_there_is_not_reported_and_not_remembered(
    model, monkeypatch, written
):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:5, :5], labels[-5:, -5:] = 1, 2
    monkeypatch.setattr(decoding, "decode_labels", lambda *_: torch.from_numpy(labels))
    monkeypatch.setattr(decoding, "confidences", lambda *_: torch.tensor([0.6, 0.2]))
    images = video(2)
    segmenter = VideoObjectSegmenter(model, CONFIG, rules=MemoryRules(min_presence=0.3))
    segmenter.add_reference(images[0], labels_to_masks(labels, 2))
    found = segmenter.step(images[1])
    np.testing.assert_array_equal(found.masks[0], labels == 1)
    assert not found.masks[1].any()
    np.testing.assert_array_equal(written.pop(), labels == 1)


def test_a_corrected_object_is_looked_for_where_it_was_corrected(model, monkeypatch):
    parts = np.zeros((2, HEIGHT, WIDTH), np.bool_)
    parts[0, :5, :5], parts[1, -5:, -5:] = True, True
    labels = torch.from_numpy(parts.any(axis=0).astype(np.uint8))
    monkeypatch.setattr(decoding, "decode_labels", lambda *_: labels)
    images = video(3)
    segmenter = VideoObjectSegmenter(model, CONFIG, rules=MemoryRules(max_speed=0.5))
    segmenter.add_reference(images[0], parts[:1])
    np.testing.assert_array_equal(segmenter.step(images[1]).masks, parts[:1])
    segmenter.correct(images[1], parts[1:], [0])
    np.testing.assert_array_equal(segmenter.step(images[2]).masks, parts[1:])


def test_small_first_objects_raise_the_size_of_the_whole_video(model, monkeypatch):
    """Also for objects that join later, whatever their size."""
    sizes = []
    encode = model.encode
    monkeypatch.setattr(
        model, "encode", lambda image: sizes.append(tuple(image.shape[-2:])) or encode(image)
    )
    low = replace(CONFIG, min_short_edge=0, max_long_edge=33)
    config = replace(low, small_object=10_000, fine_long_edge=49)
    images = video(3)
    segmenter = VideoObjectSegmenter(model, config)
    segmenter.add_reference(images[0], rectangles(1))
    segmenter.step(images[1])
    segmenter.add_objects(images[1], rectangles(2)[1:])
    segmenter.step(images[2])
    assert set(map(max, sizes)) == {49}
    VideoObjectSegmenter(model, low).add_reference(images[0], rectangles(1))
    assert max(sizes[-1]) == 33
