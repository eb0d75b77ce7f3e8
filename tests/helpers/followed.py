"""A run of four frames, as it is followed and as it is stored."""

import numpy as np

from hqtrack.runs.follower import Followed
from hqtrack.runs.identity import Identity
from hqtrack.runs.journal import RunDescription
from hqtrack.runs.targets import Points, Target
from hqtrack.video.streams import Frame

RUN = RunDescription(
    video="/clip.mp4",
    input=Identity(1, 1000, "content", "times"),
    start=1,
    every=2,
    tracker="light",
    computation="cpu, float32",
    weights={"light.safetensors": "0123"},
    first_masks="given",
    objects=("a", "b"),
)


SIZE = (12, 20)


TARGETS = (
    Target("cat", 3, None, Points(((1, 1),))),
    Target("500", 500, 5, Points(((1, 1),))),
    Target("never", 7, 99, Points(((1, 1),))),
)


def followed(number):
    """Frames 1, 3, 5, ...: the cat is a strip as long as the number; gone on 5, where 500 starts"""
    masks = np.zeros((1 if number < 5 else 2, *SIZE), np.bool_)
    if number != 5:
        masks[0, 2, :number] = True
    masks[1:, 6:8, 4:7] = True
    confidence = np.array([number / 10, 1.0], np.float32)[: len(masks)]
    frame = Frame(number, f"{number}.jpg", np.zeros((*SIZE, 3), np.uint8))
    return Followed(frame, TARGETS[: len(masks)], masks, confidence)
