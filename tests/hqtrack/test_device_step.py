"""A frame on the device gives what it gives on arrays; the device is a CPU here."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hqtrack import device_edges, refiner
from hqtrack.device_step import stays_on_device
from hqtrack.refiner import MaskRefiner, Windows
from hqtrack.rules import PLUS, PUBLISHED
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.tracker import HQTracker
from tests.helpers.tiny_hqsam import tiny_hqsam
from tests.helpers.tiny_segmenter import CONFIG, rectangles, video
from tests.helpers.tiny_vmos import tiny_vmos

OBJECTS = 5
"""More than a group of objects."""


@pytest.fixture(scope="module")
def networks():
    return tiny_vmos(), tiny_hqsam()


def follow(networks, rules, **options):
    """Masks, confidence and steps of a video on which an object joins and one is corrected."""
    vmos, hqsam = networks
    segmenter = VideoObjectSegmenter(vmos, CONFIG, rules=rules.memory, sight=rules.sight)
    tracker = HQTracker(segmenter, MaskRefiner(hqsam), rules=rules, **options)
    frames, masks = video(5), rectangles(OBJECTS)
    tracker.initialize(frames[0], masks[:-1])
    for number, frame in enumerate(frames[1:]):
        yield *tracker.track(frame), tracker.last
        if number == 1:
            tracker.add_objects(frame, masks[-1:])
        if number == 2:
            tracker.correct(frame, np.roll(masks[:2], 3, axis=2), [4, 1])


SOME_ARE_DROPPED = replace(PLUS, memory=replace(PLUS.memory, min_presence=0.1, max_speed=0.01))


@pytest.mark.parametrize("edges_on_device", [False, True])
@pytest.mark.parametrize("rules", [PUBLISHED, SOME_ARE_DROPPED], ids=["published", "plus"])
def test_masks_and_steps_are_equal(networks, monkeypatch, rules, edges_on_device):
    monkeypatch.setattr(device_edges, "is_faster_on", lambda device: edges_on_device)
    monkeypatch.setattr(refiner, "BOXES_AT_ONCE", 2)
    refined = []
    for found, expected in zip(
        follow(networks, rules, min_iou=0.1, on_device=True),
        follow(networks, rules, min_iou=0.1),
        strict=True,
    ):
        (masks, confidence, step), (other_masks, other_confidence, other_step) = found, expected
        np.testing.assert_array_equal(masks, other_masks, strict=True)
        np.testing.assert_array_equal(confidence, other_confidence, strict=True)
        np.testing.assert_array_equal(step.coarse, other_step.coarse, strict=True)
        np.testing.assert_array_equal(step.refined, other_step.refined, strict=True)
        for one, other in zip(step.selection, other_step.selection, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)
        assert step.memory == other_step.memory
        refined += step.selection.refined.tolist()
    assert len(set(refined)) == 2


def test_a_frame_without_an_object_is_not_encoded(networks):
    _, hqsam = networks
    calls = hqsam.image_encoder.calls
    empty = torch.zeros(2, 41, 57, dtype=torch.bool)
    masks, scores = MaskRefiner(hqsam).refine_on_device(video(1)[0], empty)
    assert hqsam.image_encoder.calls == calls
    assert not masks.any()
    assert scores.tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("device", "rules", "windows", "stays"),
    [
        ("meta", None, None, True),
        ("cpu", None, None, False),
        ("meta", PLUS.memory, None, True),
        ("meta", None, Windows(), False),
    ],
)
def test_on_a_cpu_and_where_windows_are_cut_masks_are_arrays(
    networks, device, rules, windows, stays
):
    _, hqsam = networks
    segmenter = VideoObjectSegmenter(tiny_vmos().to(device), CONFIG, rules=rules)
    assert stays_on_device(segmenter, MaskRefiner(hqsam, windows=windows)) is stays
    assert not stays_on_device(segmenter, None)
