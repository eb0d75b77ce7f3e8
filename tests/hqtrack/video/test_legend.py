"""The legend of an overlay."""

import numpy as np
import pytest

from hqtrack.video.legend import draw_legend
from hqtrack.video.overlay import object_colours


def drawn(names, height=240, width=320):
    image = np.full((height, width, 3), 200, np.uint8)
    draw_legend(image, names)
    return image


def has_colour(image, number):
    return bool((image == object_colours([number])[0]).all(axis=2).any())


def test_each_name_stands_beside_the_colour_of_its_object():
    image = drawn({1: "dog", 3: "cat", 2: "2"})
    assert [has_colour(image, number) for number in (1, 2, 3)] == [True, False, True]
    # letters
    assert (image[:100, :200] > 215).all(axis=2).any()
    assert (image[200:] == 200).all()
    assert (image[:, 200:] == 200).all()


def test_another_name_makes_another_legend():
    assert (drawn({1: "dog"}) != drawn({1: "fog"})).any()


@pytest.mark.parametrize("names", [{}, {1: "1", 2: "2"}])
def test_numbers_need_no_legend(names):
    assert (drawn(names) == 200).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (300, 5), (20, 20)])
def test_what_does_not_fit_is_left_out(size):
    image = drawn({number: f"object {number} " * 9 for number in range(1, 40)}, *size)
    assert image.shape == (*size, 3)


def test_any_characters_are_drawn():
    assert has_colour(drawn({1: "größe 狗 \n\0 \U0001f415"}), 1)
