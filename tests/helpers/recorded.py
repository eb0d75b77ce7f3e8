"""A record whose every number is known: two squares, a refiner that fails now and then."""

import numpy as np

from hqtrack.records.record import Heading, Observed, Recorder, Truth
from hqtrack.selection import Selection
from hqtrack.tracker import Step

HEIGHT, WIDTH = 60, 80
OBJECTS = {3: "dog", 7: "</script><b>"}


def square(left, top=10, side=20):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def observed(number, first=1):
    """Frame ``number``: 3 from the first frame on, refined on even frames and gone on frame 5; 7
    given on the second frame."""
    image = np.full((HEIGHT, WIDTH, 3), 10 * number, np.uint8)
    name = f"{number:08d}.jpg"
    coarse = np.stack([square(number), square(40)])
    if number == first + 4:
        coarse[0] = False
    refined = np.roll(coarse, 2, axis=2)
    used = np.array([number % 2 == 0 and number != first + 4, False])
    masks = np.where(used[:, None, None], refined, coarse)
    iou = np.array([18 / 22, 18 / 22], np.float32)
    count = 1 if number == first else 2
    memory = (((0,), number - first - 1),)
    tracked = {first: 0, first + 1: 1}.get(number, 2)
    step = Step(
        coarse[:tracked],
        refined[:tracked],
        Selection(masks[:tracked], used[:tracked], iou[:tracked]),
        memory,
    )
    objects = tuple(OBJECTS)[:count]
    confidence = np.array([0.5, 0.25], np.float32)[:count]
    truth = Truth(
        coarse[:count],
        np.linspace(0.9, 0.1, 10)[[number - first] * count].astype(np.float32),
        np.full(count, 0.75, np.float32),
    )
    return Observed(
        number,
        name,
        image,
        objects,
        masks[:count],
        confidence,
        step if tracked else None,
        truth if tracked else None,
    )


def make_record(folder, frames=8, title="two squares", first=1):
    with Recorder(folder, Heading(title, "a tracker", OBJECTS)) as recorder:
        for number in range(first, first + frames):
            recorder.write(observed(number, first))
    return folder
