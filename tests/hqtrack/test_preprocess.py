"""Network sizes, normalisation, resized images and label maps."""

import cv2
import numpy as np
import pytest
import torch

from hqtrack import preprocess
from hqtrack.noise import denoised
from hqtrack.preprocess import (
    long_edge_for,
    network_size,
    normalise,
    prepare_frame,
    prepare_image,
    prepare_labels,
)

CPU = torch.device("cpu")


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        pytest.param((1080, 1920), (577, 1041), id="reduced"),
        pytest.param((1920, 1080), (1041, 577), id="portrait"),
        pytest.param((480, 854), (481, 849), id="854 is nearer to 849 than to 865"),
        pytest.param((240, 320), (481, 641), id="enlarged"),
        pytest.param((481, 849), (481, 849), id="fits"),
        pytest.param((505, 521), (513, 513), id="halves go to the even multiple: 31.5, 32.5"),
        pytest.param((489, 489), (481, 481), id="halves go to the even multiple: 30.5"),
        pytest.param((2000, 2000), (1041, 1041), id="square"),
        pytest.param((480, 1040), (481, 1041), id="the limits themselves"),
        pytest.param((1, 1), (481, 481), id="one pixel"),
        pytest.param((4000, 40), (1041, 17), id="1:100, first enlarged, then reduced"),
        pytest.param((8, 4000), (17, 1041), id="1:500 keeps one stride"),
        pytest.param((1, 100_000), (17, 1041), id="a line"),
    ],
)
def test_network_size_of_the_released_configuration(frame, size):
    assert network_size(*frame, 480, 1040, 16) == size


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        ((480, 854), (193, 353)),
        ((97, 97), (97, 97)),
        ((100, 101), (97, 97)),
        ((102, 300), (105, 297)),
        ((3, 3), (9, 9)),
        ((1, 1), (9, 9)),
        ((2, 5000), (9, 353)),
    ],
)
def test_network_size_without_a_lower_bound(frame, size):
    """As the light tracker uses it: long edge 352, stride 8."""
    assert network_size(*frame, 0, 352, 8) == size


@pytest.mark.parametrize(
    ("sides", "most", "edge"),
    [
        pytest.param([100], 768, 512, id="large enough"),
        pytest.param([80], 768, 512, id="just large enough"),
        pytest.param([64], 768, 640, id="raised until it is"),
        pytest.param([10], 768, 768, id="raised no further"),
        pytest.param([64, 64, 500], 768, 640, id="the median object decides"),
        pytest.param([0, 0, 64], 768, 640, id="of those that have pixels"),
        pytest.param([0], 768, 512, id="nothing to see"),
        pytest.param([10], 0, 512, id="off"),
    ],
)
def test_small_objects_raise_the_long_edge(sides, most, edge):
    """On a frame of 1024 pixels, to 40 pixels of the network's input."""
    areas = np.square(np.array(sides, np.float32))
    assert long_edge_for(areas, (576, 1024), 512, most, 40) == edge


def test_network_sizes_are_multiples_of_the_stride_plus_one():
    for height in range(1, 1200, 37):
        for width in range(1, 2200, 91):
            h, w = network_size(height, width, 480, 1040, 16)
            assert (h % 16, w % 16) == (1, 1)
            assert 17 <= min(h, w) <= max(h, w) <= 1041


def test_normalise_is_the_formula_rounded_once():
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    mean, deviation = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))
    expected = ((image / 255.0 - mean) / deviation).transpose(2, 0, 1).astype(np.float32)
    actual = normalise(image)
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(actual, expected)


def test_an_image_of_the_right_size_is_only_normalised():
    image = noise(17, 33)
    prepared = prepare_image(image, (17, 33), CPU)
    assert prepared.shape == (1, 3, 17, 33)
    np.testing.assert_array_equal(prepared[0], normalise(image))


def test_images_are_resized_on_8_bits():
    image = noise(20, 30)
    resized = cv2.resize(image, (33, 17), interpolation=cv2.INTER_CUBIC)
    assert resized.dtype == np.uint8
    np.testing.assert_array_equal(prepare_image(image, (17, 33), CPU)[0], normalise(resized))


def test_noise_is_removed_where_pixels_are_fewest():
    image, larger, smaller = noise(40, 60), (81, 121), (17, 33)
    smooth = denoised(image, 1.0)
    assert (smooth != image).any()
    found = prepare_frame(image, larger, CPU, 1.0)
    assert found.smoothed
    assert torch.equal(found.image, prepare_image(smooth, larger, CPU))
    reduced = cv2.resize(image, smaller[::-1], interpolation=cv2.INTER_CUBIC)
    expected = normalise(denoised(reduced, 1.0))
    found = prepare_frame(image, smaller, CPU, 1.0)
    assert found.smoothed
    np.testing.assert_array_equal(found.image[0], expected)
    for size in (larger, smaller):
        found = prepare_frame(image, size, CPU, 255.0)
        assert not found.smoothed
        assert torch.equal(found.image, prepare_image(image, size, CPU))


def test_any_memory_layout_of_the_image():
    mirrored = noise(20, 30)[::-1, ::-1]
    mirrored.flags.writeable = False
    for size in ((20, 30), (17, 33)):
        expected = prepare_image(mirrored.copy(), size, CPU)
        assert torch.equal(prepare_image(mirrored, size, CPU), expected)


@pytest.mark.parametrize("size", [(3, 5), (7, 9), (17, 4), (1, 1)])
def test_labels_take_the_nearest_pixel_above_and_to_the_left(size):
    labels = np.arange(70, dtype=np.int32).reshape(7, 10)
    rows = np.arange(size[0]) * 7 // size[0]
    columns = np.arange(size[1]) * 10 // size[1]
    prepared = prepare_labels(labels, size)
    assert prepared.dtype == torch.int64
    np.testing.assert_array_equal(prepared[0], labels[np.ix_(rows, columns)])


def test_labels_beyond_255_survive():
    labels = np.array([[0, 256, 70_000]], np.int32)
    assert prepare_labels(labels, (2, 3)).tolist() == [[[0, 256, 70_000]] * 2]


def test_levels_are_copied_to_a_device_once(monkeypatch):
    preprocess._levels_on.cache_clear()
    copied = []
    from_numpy = torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda a: copied.append(a) or from_numpy(a))
    image = torch.zeros(2, 3, 3, dtype=torch.uint8)
    first, second = (preprocess.normalise_on_device(image) for _ in range(2))
    assert torch.equal(first, second)
    assert len(copied) == 1
