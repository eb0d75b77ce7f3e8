"""Harder sequences: what they show, and that masks and images change together."""

from dataclasses import dataclass

import numpy as np
import pytest

from hqtrack.scoring.annotated import AnnotatedFrame
from hqtrack.scoring.stress import DELAY, KEPT, KINDS, make_harder, there_and_back

FRAMES, SIZE, SIDE = 40, (32, 48), 12


@dataclass(frozen=True)
class Moving:
    """A bright square that moves to the right on grey; the frame's number is in one corner."""

    name: str = "square"
    objects: tuple[int, ...] = (1,)

    def __len__(self):
        return FRAMES

    def read(self):
        for number in range(FRAMES):
            image = np.full((*SIZE, 3), 60, np.uint8)
            masks = np.zeros((1, *SIZE), np.bool_)
            masks[0, 8 : 8 + SIDE, number % 30 : number % 30 + SIDE] = True
            image[masks[0]] = 200
            image[-1, -1] = number
            yield AnnotatedFrame(str(number), image, masks)


def shown(kind, seed=0, most=FRAMES):
    (harder,) = make_harder([Moving()], kind, most, seed)
    frames = list(harder.read())
    assert len(frames) == len(harder)
    assert harder.objects == (1,)
    return frames


def numbers(kind):
    return [int(frame.image[-1, -1, 0]) for frame in shown(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_repeatable_and_starts_with_every_object(kind):
    sequences = [Moving(f"square {number}") for number in range(4)]
    once, again = (make_harder(sequences, kind, 30, seed=3) for _ in range(2))
    for one, other in zip(once, again, strict=True):
        frames = list(zip(one.read(), other.read(), strict=True))
        assert frames[0][0].masks.any(axis=(1, 2)).all()
        for frame, same in frames:
            assert frame.masks.shape[1:] == frame.image.shape[:2]
            assert np.array_equal(frame.image, same.image)
            assert np.array_equal(frame.masks, same.masks)


def test_long_videos_go_there_and_back():
    assert there_and_back(4, 9) == (0, 1, 2, 3, 2, 1, 0, 1, 2)
    assert numbers("long") == [*there_and_back(FRAMES, 3 * FRAMES)]


def test_dropped_frames():
    assert numbers("drops") == list(range(0, FRAMES, KEPT))


def test_only_the_first_frames_are_used():
    assert len(shown("noise", most=7)) == 7


def test_a_twin_shows_a_later_frame_of_which_nothing_is_asked():
    for number, frame in enumerate(shown("twin")):
        left, right = np.split(frame.image, 2, axis=1)
        assert right[-1, -1, 0] - left[-1, -1, 0] == DELAY
        assert left[-1, -1, 0] == number
        assert frame.masks[:, :, SIZE[1] :].sum() == 0


def test_what_an_occluder_hides_is_not_in_the_masks():
    """Elsewhere everything is as before, and the object is hidden for a while."""
    hidden = []
    for frame, plain in zip(shown("occluder"), Moving().read(), strict=True):
        changed = (frame.image != plain.image).any(axis=2)
        assert np.array_equal(frame.masks[0], plain.masks[0] & ~changed)
        hidden.append(not frame.masks.any())
    assert 0 < sum(hidden) < FRAMES // 2
    assert not hidden[0]


def test_noise_and_light_leave_the_masks_alone():
    for kind in ("noise", "light"):
        frames = shown(kind)
        for frame, plain in zip(frames, Moving().read(), strict=True):
            assert np.array_equal(frame.masks, plain.masks)
        assert np.array_equal(frames[0].image, next(Moving().read()).image)
    assert np.std(shown("noise")[5].image[:6].astype(float)) > 10
    means = [frame.image.mean() for frame in shown("light")]
    assert min(means) < 0.6 * means[0]
    assert max(means) > 1.2 * means[0]


def test_tiles_change_places_at_half_time():
    plain, swap = (
        make_harder([Moving(str(number)) for number in range(4)], kind, FRAMES)[0]
        for kind in ("mosaic", "swap")
    )
    for number, (one, other) in enumerate(zip(plain.read(), swap.read(), strict=True)):
        half = one.image.shape[1] // 2 if number >= FRAMES // 2 else 0
        assert np.array_equal(np.roll(one.image, half, axis=1), other.image)
        assert np.array_equal(np.roll(one.masks, half, axis=2), other.masks)
