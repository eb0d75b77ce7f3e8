import itertools
from typing import Any

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.synthetic import DEMO_SEEDS, MAX_OBJECTS, RESERVED_SEED, Scene, generate, textures
from hqtrack.synthetic import scene as synthetic
from hqtrack.synthetic.textures import Sprite


def test_shapes_types_and_labels() -> None:
    images, masks = generate(1, frames=3, size=(60, 80), objects=2)
    assert images.shape == (3, 60, 80, 3)
    assert images.dtype == np.uint8
    assert masks.shape == (3, 60, 80)
    assert masks.dtype == np.int32
    assert np.unique(masks).tolist() == [0, 1, 2]


def test_a_seed_always_gives_the_same_bytes_and_another_seed_others() -> None:
    one, again, other = (generate(seed, frames=3, size=(60, 80)) for seed in (5, 5, 6))
    assert one.images.tobytes() == again.images.tobytes()
    assert one.masks.tobytes() == again.masks.tobytes()
    assert one.images.tobytes() != other.images.tobytes()


@pytest.mark.parametrize("size", [(97, 97), (180, 320)])
@pytest.mark.parametrize("objects", [1, 3, MAX_OBJECTS])
def test_every_object_is_visible_on_the_first_frame(size: tuple[int, int], objects: int) -> None:
    for seed in range(5):
        masks = generate(seed, frames=1, size=size, objects=objects).masks
        areas = np.bincount(masks.ravel(), minlength=objects + 1)
        assert len(areas) == objects + 1
        assert areas.min() >= 16


def test_masks_are_exact_for_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    colours = itertools.cycle(np.eye(3, dtype=np.float32) * 200.0)

    def plain(rng: np.random.Generator, side: int) -> Sprite:
        shape = textures.sprite(rng, side)
        return Sprite(np.broadcast_to(next(colours), shape.colours.shape), shape.alpha)

    monkeypatch.setattr(synthetic, "sprite", plain)
    monkeypatch.setattr(
        synthetic, "_background", lambda rng, shape: np.zeros((*shape, 3), np.float32)
    )
    scene = Scene(bystanders=0, look_alike=0.0, crossing=1.0, noise=0.0, blur=False)
    images, masks = generate(4, frames=20, objects=3, scene=scene)
    drawn = np.where(images.any(axis=-1), images.argmax(axis=-1) + 1, 0)
    assert np.array_equal(drawn, masks)


def test_look_alikes_share_one_sprite(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def counted(rng: np.random.Generator, side: int) -> Sprite:
        drawn.append(textures.sprite(rng, side))
        return drawn[-1]

    monkeypatch.setattr(synthetic, "sprite", counted)
    monkeypatch.setattr(synthetic, "_background", lambda rng, shape: np.zeros((*shape, 3), "f4"))
    generate(0, frames=1, objects=4, scene=Scene(look_alike=1.0))
    assert len(drawn) == 1


def test_objects_hide_each_other_leave_and_return() -> None:
    hidden = returned = 0
    for seed in range(12):
        masks = generate(seed, size=(90, 160), scene=Scene(leaving=0.5)).masks
        for label in range(1, 4):
            seen = (masks == label).any(axis=(1, 2))
            hidden += not seen.all()
            gone = np.flatnonzero(~seen)
            returned += len(gone) > 0 and bool(seen[gone[0] :].any())
    assert hidden >= 6
    assert returned >= 3


def test_motion_is_smooth() -> None:
    masks = generate(2, objects=1, scene=Scene(leaving=0.0, bystanders=0)).masks
    centres = np.array([np.argwhere(mask).mean(axis=0) for mask in masks])
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    assert 0.5 < steps.mean() < 10
    assert np.abs(np.diff(steps)).max() < 5


def test_a_still_scene_stays_still() -> None:
    one, other = (
        generate(3, frames=2, scene=Scene(noise=noise, camera=0.0, bystanders=0, speed=1e-6))
        for noise in (0.0, 3.0)
    )
    assert np.array_equal(one.masks[0], one.masks[1])
    assert np.abs(one.images[0].astype(int) - one.images[1]).max() <= 20
    assert not np.array_equal(other.images[0], other.images[1])


def test_demonstration_seeds_are_reserved() -> None:
    assert min(DEMO_SEEDS) >= RESERVED_SEED
    assert len(set(DEMO_SEEDS)) == len(DEMO_SEEDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"frames": 0}, "frames"),
        ({"size": (40, 320)}, "size 320x40"),
        ({"objects": 0}, "objects"),
        ({"objects": 13}, "1 to 12"),
        ({"scene": Scene(speed=0.0)}, "speed"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        generate(**{"seed": 0, **arguments})
