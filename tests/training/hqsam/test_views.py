"""HQ-SAM's inputs in training: jittered views and prompts."""

import pytest
import torch

from training.hqsam.views import (
    PADDING,
    Jitter,
    Kind,
    draw_prompt,
    jittered,
    noised,
    object_pixels,
    tight_box,
    whole,
)

SIDE = 64


def generators(seed=0):
    return torch.Generator().manual_seed(seed)


def scene():
    """An image 30 x 48 that is 10 but for the object, a rectangle, which is 200."""
    matte = torch.zeros(30, 48, dtype=torch.uint8)
    matte[9:15, 24:36] = 255
    image = torch.where(matte > 0, 200, 10).to(torch.uint8).expand(3, -1, -1)
    return image, matte


def test_the_whole_image_is_padded_below():
    view = whole(*scene(), SIDE)
    assert view.pixels.shape == (3, SIDE, SIDE)
    assert tight_box(object_pixels(view.target)).tolist() == [32, 12, 47, 19]
    assert (view.pixels[:, 40:] == PADDING).all()
    assert (view.target[:, 40:] == 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_jittered_view_has_the_object_where_the_pixels_show_it(seed):
    view = jittered(*scene(), SIDE, Jitter(), generators(seed))
    assert view.pixels.shape == (3, SIDE, SIDE)
    assert view.target.amax() > 0.5
    assert ((view.pixels[0] > 190) == (view.target[0] > 0.95)).float().mean() > 0.98


def test_jitter_is_a_function_of_the_chances():
    one, same, other = (jittered(*scene(), SIDE, Jitter(), generators(n)) for n in (3, 3, 4))
    assert torch.equal(one.pixels, same.pixels)
    assert not torch.equal(one.pixels, other.pixels)


def test_mirrored():
    jitter = Jitter(low=1, high=1, mirrored=1)
    view = jittered(*scene(), SIDE, jitter, generators())
    assert tight_box(object_pixels(view.target)).tolist() == [16, 12, 31, 19]


def test_an_object_that_is_never_hit_gets_the_whole_image():
    image, matte = scene()
    matte.zero_()[0, 0] = 255
    view = jittered(image, matte, SIDE, Jitter(low=20, high=20, mirrored=0, tries=2), generators())
    assert view.pixels.equal(whole(image, matte, SIDE).pixels)


def target(area=slice(8, 40)):
    wanted = torch.zeros(1, SIDE, SIDE)
    wanted[:, area, 16:32] = 1
    return wanted


def test_all_kinds_of_prompts_are_drawn_and_lie_in_the_object():
    prompts = [draw_prompt(target(), generators(seed)) for seed in range(30)]
    boxes, points, masks = (
        [prompt.value for prompt in prompts if prompt.kind is kind] for kind in Kind
    )
    assert min(len(boxes), len(points), len(masks)) >= 4
    assert {tuple(box.tolist()) for box in boxes} == {(16, 8, 31, 39)}
    for found in points:
        x, y = found.long().T
        assert (target()[0, y, x] == 1).all()
        assert len(found.unique(dim=0)) == 10
    assert {mask.shape for mask in masks} == {(1, SIDE // 4, SIDE // 4)}


def test_no_points_from_an_object_of_nine_pixels():
    small = torch.zeros(1, SIDE, SIDE)
    small[:, :3, :3] = 1
    kinds = {draw_prompt(small, generators(seed)).kind for seed in range(20)}
    assert kinds == {Kind.BOX, Kind.MASK}


def test_noise_touches_the_boundary_only():
    whole_side = torch.zeros(1, 256, 256)
    whole_side[:, 40:200, 40:200] = 1
    mask = noised(whole_side, generators())
    clean = (whole_side[:, 1::4, 1::4] * 255).float()
    changed = (mask != clean)[0]
    assert set(mask.unique().tolist()) == {0.0, 255.0}
    assert changed.any()
    assert not changed[24:36, 24:36].any()
    assert not changed[60:].any()


def test_object_pixels_where_none_is_fully_object():
    faint = torch.zeros(1, 4, 4)
    faint[0, 1, 2] = 0.3
    assert object_pixels(faint).nonzero().tolist() == [[0, 1, 2]]
