"""Masks follow the edges of an image, and only those near their own edges."""

import cv2
import numpy as np
import pytest
import torch

from hqtrack import edges
from hqtrack.edges import at_places, filtered, guide_of
from tests.helpers import on_tensors
from vmos.ops import resize

SIZE = (96, 160)
PLACES = (13, 21)
SKY, GRASS, CAR = (90, 120, 210), (60, 140, 50), (200, 40, 40)


@pytest.fixture(params=[edges.follow_image, on_tensors.follow_image], ids=["arrays", "tensors"])
def follow_image(request):
    return request.param


def polygon(corners):
    """[H,W] bool; corners are (x, y)."""
    mask = np.zeros(SIZE, np.uint8)
    cv2.fillPoly(mask, [np.array(corners)], 1)
    return mask.astype(bool)


LEFT = polygon([(20, 20), (75, 12), (75, 70), (35, 80)])
RIGHT = polygon([(76, 12), (130, 30), (120, 85), (76, 70)])


def painted(*parts):
    """Masks in their colours on grass."""
    image = np.full((*SIZE, 3), GRASS, np.uint8)
    for mask, colour in parts:
        image[mask] = colour
    return image


def found(*masks):
    """What a network finds of masks whose places are eight pixels apart."""
    planes = [cv2.blur(mask.astype(np.float32), (9, 9)) for mask in masks]
    return np.stack([at_places(plane, PLACES) for plane in planes])


def plain_labels(probabilities, size=SIZE):
    """What is most probable, without the image."""
    planes = resize(torch.from_numpy(probabilities)[None], size)[0].numpy()
    return np.argmax([1 - sum(planes), *planes], axis=0).astype(np.uint8)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_masks_follow_the_edges_of_the_image(follow_image):
    image, probabilities = painted((LEFT, CAR)), found(LEFT)
    labels = plain_labels(probabilities)
    followed = follow_image(labels, probabilities, image)
    assert overlap(labels == 1, LEFT) < 0.98
    assert overlap(followed == 1, LEFT) > 0.995


def test_objects_that_touch_share_an_edge(follow_image):
    image, probabilities = painted((LEFT, CAR), (RIGHT, SKY)), found(LEFT, RIGHT)
    followed = follow_image(plain_labels(probabilities), probabilities, image)
    for number, mask in enumerate((LEFT, RIGHT), start=1):
        assert overlap(followed == number, mask) > 0.995
    columns = slice(72, 80)
    assert (followed[30:60, columns] > 0).all()


def test_only_what_is_near_an_edge_is_decided_again(follow_image):
    probabilities = found(LEFT)
    labels = plain_labels(probabilities)
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    changed = follow_image(labels, probabilities, noise) != labels
    assert changed.any()
    reach = np.ones((2 * 24 + 1, 2 * 24 + 1), np.uint8)
    mask = (labels == 1).astype(np.uint8)
    near = cv2.dilate(mask, reach) > cv2.erode(mask, reach)
    assert not (changed & ~near).any()


@pytest.mark.parametrize("corner", [(0, 0), (30, 90), (60, 140)])
@pytest.mark.parametrize("places", [(49, 81), (25, 21), (130, 201)])
def test_what_is_decided_again_follows_the_filter_of_the_whole_image(follow_image, corner, places):
    """It is enough to know the image near the edges."""
    image = np.random.default_rng(4).integers(0, 256, (12, 20, 3)).astype(np.uint8)
    image = cv2.resize(image, SIZE[::-1])
    labels = np.zeros(SIZE, np.uint8)
    labels[corner[0] : corner[0] + 25, corner[1] : corner[1] + 30] = 1
    probabilities = at_places(labels.astype(np.float32), places)[None]
    probabilities = cv2.blur(probabilities[0], (3, 3))[None]
    followed = follow_image(labels, probabilities, image)
    whole = filtered(probabilities[0], guide_of(image, places)) > 0.5
    changed = followed != labels
    assert changed.any()
    assert (whole == followed)[changed].mean() > 0.995


def test_without_edges_in_the_image_masks_hardly_change(follow_image):
    probabilities = found(LEFT)
    labels = plain_labels(probabilities)
    followed = follow_image(labels, probabilities, painted())
    assert overlap(followed == 1, labels == 1) > 0.85


def test_an_object_that_fills_the_frame_stays(follow_image):
    labels = np.ones(SIZE, np.uint8)
    followed = follow_image(labels, np.full((1, *PLACES), 0.9, np.float32), painted((LEFT, CAR)))
    assert (followed == 1).all()


def test_an_object_that_is_nowhere_most_probable_stays(follow_image):
    """Its few pixels lie between the places; some of them are near the edge of another object."""
    probabilities = np.stack([found(LEFT)[0], np.zeros(PLACES, np.float32)])
    labels = plain_labels(probabilities)
    labels[90:92, 150:152] = labels[40:42, 72:74] = 2
    followed = follow_image(labels, probabilities, painted((LEFT, CAR)))
    assert ((followed == 2) == (labels == 2)).all()


def test_the_labels_that_were_given_stay(follow_image):
    probabilities = found(LEFT)
    labels = plain_labels(probabilities)
    labels.setflags(write=False)
    followed = follow_image(labels, probabilities, painted((LEFT, CAR)))
    assert followed.dtype == labels.dtype


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (8, 4000), (5, 7), (12, 9)])
@pytest.mark.parametrize("places", [(1, 1), (33, 65)])
def test_frames_of_any_size(follow_image, size, places, kind):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, size).astype(kind)
    probabilities = rng.random((2, *places), np.float32) / 2
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    followed = follow_image(labels, probabilities, image)
    assert followed.shape == size
    assert followed.dtype == kind
    assert set(np.unique(followed)) <= {0, 1, 2}


def test_frames_that_opencv_cannot_enlarge_to_stay():
    labels = np.ones((1, 2**15), np.uint8)
    image = np.zeros((*labels.shape, 3), np.uint8)
    assert edges.follow_image(labels, np.full((1, 3, 9), 0.4, np.float32), image) is labels


@pytest.mark.parametrize("size", [SIZE, (67, 131)])
@pytest.mark.parametrize("places", [PLACES, (33, 65)])
def test_tensors_are_labelled_as_arrays_are(size, places):
    """Random pictures of up to four objects; a pixel in many may round otherwise."""
    rng = np.random.default_rng(5)
    changed = differing = 0
    for objects in (1, 1, 2, 3, 4):
        picture = rng.integers(0, 256, (7, 11, 3)).astype(np.uint8)
        image = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_CUBIC)
        logits = torch.from_numpy(4 * rng.standard_normal((1, objects + 1, 5, 8), np.float32))
        found = resize(logits, places).softmax(dim=1)[0, 1:].numpy()
        labels = plain_labels(found, size)
        followed = edges.follow_image(labels, found, image)
        changed += (followed != labels).sum()
        differing += (on_tensors.follow_image(labels, found, image) != followed).sum()
    assert differing < 0.001 * changed


def test_what_is_linear_in_colour_is_known_at_every_pixel():
    """The filter enlarges it as exactly as the image itself."""
    rng = np.random.default_rng(2)
    image = cv2.resize(rng.integers(0, 256, (9, 15, 3)).astype(np.uint8), SIZE[::-1])
    guide = guide_of(image, SIZE)
    values = (guide.colours[0] - 0.5 * guide.colours[1] + 0.25 * guide.colours[2]).astype(
        np.float32
    )
    np.testing.assert_allclose(filtered(values, guide), values, atol=0.04)
    few = guide_of(image, (49, 81))
    at = at_places(values, (49, 81))
    plain = cv2.resize(at, SIZE[::-1])
    errors = [np.abs(found - values).mean() for found in (filtered(at, few), plain)]
    assert errors[0] < errors[1]


def test_covariances_are_inverted():
    rng = np.random.default_rng(3)
    guide = guide_of(rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8), PLACES)
    inverse = np.array(guide.inverse).transpose(2, 3, 0, 1)
    colours, means = np.array(guide.colours), np.array(guide.means)
    products = [[cv2.blur(a * b, (3, 3)) for b in colours] for a in colours]
    covariance = np.array(products) - means[:, None] * means
    covariance = covariance.transpose(2, 3, 0, 1) + 5e-4 * np.eye(3)
    np.testing.assert_allclose(
        inverse @ covariance, np.broadcast_to(np.eye(3), (*PLACES, 3, 3)), atol=1e-3
    )
