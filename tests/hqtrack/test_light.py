"""The light tracker with the weights that ship."""

from dataclasses import replace

import numpy as np
import pytest

from hqtrack import build_tracker
from hqtrack.baseline import FirstMask
from hqtrack.masks import labels_to_masks
from hqtrack.measures import region_similarity
from hqtrack.rules import PLUS, PUBLISHED
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.synthetic import RESERVED_SEED, Scene, generate
from hqtrack.weights import find
from tests.helpers.tiny_segmenter import rectangles, video
from tests.helpers.tiny_vmos import tiny_vmos

SHORT_EDGE, LONG_EDGE, GAP, SIZE_OF_MEMORY, LAG = 256, 512, 20, 2, 1
FINE_LONG_EDGE, SMALL_OBJECT = 864, 75
"""The shipped settings: change them here and in the model card when `LIGHT_SEGMENTER` changes."""

FRAMES = 12
HIDDEN = range(6, 10)
SIZE = (144, 192)


def test_the_light_tracker_has_the_rules_plus():
    """Also its segmenter, whose part of them is memory."""
    tracker = build_tracker("light", device="cpu")
    assert tracker.rules is PLUS
    assert tracker.segmenter.rules is PLUS.memory
    assert tracker.segmenter.sight == PLUS.sight
    assert build_tracker("light", device="cpu", rules="published").rules is PUBLISHED


def test_the_weights_are_small_enough_to_ship():
    assert find("light").stat().st_size < 16 * 2**20


@pytest.fixture(scope="module")
def shipped():
    """The settings that the light tracker is built with."""
    return build_tracker("light", device="cpu").segmenter.config


def test_memory_holds_the_frames_that_gap_size_and_lag_say(shipped):
    """A small network in the place of the shipped one; the policy is that of the settings."""
    segmenter = VideoObjectSegmenter(
        tiny_vmos(), replace(shipped, min_short_edge=0, max_long_edge=64)
    )
    image, frames = video(1)[0], 2 * GAP + LAG + 2
    segmenter.add_reference(image, rectangles(1))
    read = []
    for _ in range(1, frames):
        segmenter.step(image)
        read.append(segmenter.frames_read[0])
    kept = [list(range(GAP, number, GAP)) for number in range(1, frames)]
    assert [frame.long_term for frame in read] == [
        (0, *entries[max(0, len(entries) - SIZE_OF_MEMORY + 1) :]) for entries in kept
    ]
    assert [frame.short_term for frame in read] == [
        max(0, number - LAG) for number in range(1, frames)
    ]


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((1080, 1920), SMALL_OBJECT * 1920 // LONG_EDGE, (289, LONG_EDGE + 1)),
        ((1080, 1920), 10, (489, FINE_LONG_EDGE + 1)),
        ((300, 400), 50, (297, 401)),
        ((100, 150), 50, (SHORT_EDGE + 1, 385)),
    ],
    ids=["reduced", "reduced less for a small object", "others stay", "small ones are enlarged"],
)
def test_the_network_sees_frames_of_the_shipped_size(shipped, size, side, expected):
    """(height, width), each a multiple of the stride and one more."""
    model, seen = tiny_vmos(), []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[2:]))
    masks = np.zeros((1, *size), bool)
    masks[0, :side, :side] = True
    VideoObjectSegmenter(model, shipped).add_reference(np.zeros((*size, 3), np.uint8), masks)
    assert seen == [expected]


def mean_jaccard(tracker, sequence, objects):
    tracker.initialize(sequence.images[0], labels_to_masks(sequence.masks[0], objects))
    scores = [
        region_similarity(tracker.track(image).masks, labels_to_masks(labels, objects))
        for image, labels in zip(sequence.images[1:], sequence.masks[1:], strict=True)
    ]
    return float(np.mean(scores))


@pytest.mark.parametrize("objects", [1, 4])
def test_it_follows_objects_that_move(objects):
    """On generated sequences that were never trained on: the mean over three of them."""
    tracker, gains = build_tracker("light", device="cpu"), []
    for seed in range(RESERVED_SEED + 500, RESERVED_SEED + 503):
        sequence = generate(seed, FRAMES, SIZE, objects, Scene(leaving=0.0))
        repeated = mean_jaccard(FirstMask(), sequence, objects)
        gains.append(mean_jaccard(tracker, sequence, objects) - repeated)
    assert np.mean(gains) > 0.15


def test_confidence_falls_while_an_object_is_hidden():
    """A grey board covers the first of two objects for some frames; the other stays in sight."""
    calm = Scene(leaving=0.0, crossing=0.0, bystanders=0, speed=0.3)
    tracker, seen, hidden = build_tracker("light", device="cpu"), [], []
    for seed in range(RESERVED_SEED + 100, RESERVED_SEED + 104):
        sequence = generate(seed, FRAMES, SIZE, 2, calm)
        tracker.initialize(sequence.images[0], labels_to_masks(sequence.masks[0], 2))
        for frame in range(1, HIDDEN.stop):
            image = sequence.images[frame].copy()
            if frame in HIDDEN:
                rows, columns = np.nonzero(sequence.masks[frame] == 1)
                board = np.s_[max(0, rows.min() - 6) : rows.max() + 7]
                image[board, max(0, columns.min() - 6) : columns.max() + 7] = (90, 90, 95)
            confidence = tracker.track(image).confidence
            assert ((confidence >= 0) & (confidence <= 1)).all()
            (hidden if frame in HIDDEN else seen).append(confidence)
    first, second = np.mean(hidden, axis=0) / np.mean(seen, axis=0)
    assert first < 0.75
    assert second > 0.85
