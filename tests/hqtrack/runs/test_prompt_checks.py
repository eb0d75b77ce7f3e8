"""Prompts that do not fit the frames, or look wrong."""

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.runs.prompt_checks import check_prompts, separate
from hqtrack.runs.targets import Box, LabelFile, MaskFile, Target, parse_box

WIDTH, HEIGHT = 160, 120


def given(*texts):
    return [Target(str(n), n, None, parse_box(text)) for n, text in enumerate(texts, start=1)]


@pytest.mark.parametrize("text", ["0,0,160,120", "-5,20,40,40", "130,90,33,33", "10,10,100,100"])
def test_boxes_that_nearly_fit_are_taken_without_a_word(text):
    assert check_prompts(given(text), WIDTH, HEIGHT) == []


@pytest.mark.parametrize(
    ("text", "taken", "corners"),
    [
        ("-30,20,40,40", "columns 0 to 9, rows 20 to 59", ""),
        ("0,0,900,900", "columns 0 to 159, rows 0 to 119", ""),
        ("100,60,150,110", "columns 100 to 159, rows 60 to 119", "give X,Y,W,H: 100,60,50,50"),
        ("20,30,160,40", "columns 20 to 159, rows 30 to 69", "give X,Y,W,H: 20,30,140,10"),
    ],
)
def test_boxes_that_reach_far_outside(text, taken, corners):
    [said] = check_prompts(given(text), WIDTH, HEIGHT)
    assert said.startswith(f"object 1: box:{text} reaches outside the frame of 160x120 pixels")
    assert f"took {taken}" in said
    assert (corners in said) if corners else ("corners" not in said)


@pytest.mark.parametrize("text", ["160,5,3,3", "-20,5,20,5", "5,120,9,9"])
def test_boxes_that_lie_outside(text):
    with pytest.raises(InputError, match=rf"object 1: box:{text} is outside the frame"):
        check_prompts(given(text), WIDTH, HEIGHT)


def from_files(tmp_path, *masks):
    files = [LabelFile(tmp_path / f"{n}.png", "", mask) for n, mask in enumerate(masks)]
    return [
        Target(name, n, None, MaskFile(file, 1))
        for n, (name, file) in enumerate(zip("abc", files, strict=False), start=1)
    ]


def test_a_later_mask_file_gets_the_pixels_that_both_mark(tmp_path):
    masks = np.zeros((3, 4, 9), np.bool_)
    masks[0, :, :5], masks[1, :, 3:], masks[2, 0] = True, True, True
    targets = from_files(tmp_path, *masks[:2])
    box = Target("box", 3, None, Box(0, 0, 8, 0))
    apart, told = separate([*targets, box], masks)
    np.testing.assert_array_equal(apart, [masks[0] & ~masks[1], masks[1], masks[2]])
    assert told == ["objects a and b overlap in 8 pixels: b, whose mask comes later, gets them"]
    with pytest.raises(InputError, match="the mask of object b covers all of object a"):
        separate(targets, np.array([masks[1], masks[1]]))
