"""The overlay as a video file."""

from fractions import Fraction

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.video import overlay_video
from hqtrack.video.overlay import object_colours
from hqtrack.video.overlay_video import Clock, OverlayVideo, thickest_place
from hqtrack.video.streams import Frame
from tests.helpers.video_files import read_video

HEIGHT, WIDTH = 65, 97


def shown(number, column):
    """A frame, the masks on it and the numbers of their objects."""
    image = np.full((HEIGHT, WIDTH, 3), 30, np.uint8)
    masks = np.zeros((2, HEIGHT, WIDTH), np.bool_)
    masks[0, 10:50, column : column + 40] = True
    return Frame(number, "", image), masks, (2, 9)


def write(path, numbers, rate=10):
    with OverlayVideo(path, Fraction(rate)) as video:
        for number in numbers:
            video.write(*shown(number, number))
    return read_video(path)


def test_masks_are_drawn_at_the_size_of_the_frames_made_even(tmp_path):
    pictures, _ = write(tmp_path / "o.mp4", [1, 2, 3])
    assert [picture.shape for picture in pictures] == [(66, 98, 3)] * 3
    colour = object_colours([2])[0]
    inside = pictures[2][13, 8:38].astype(int)
    assert np.abs(inside - (colour.astype(int) + 30) // 2).mean() < 12
    assert pictures[2][60, 60].max() < 45


def test_each_frame_is_shown_as_long_as_in_the_original(tmp_path):
    _, seconds = write(tmp_path / "o.mp4", [5, 6, 10, 11])
    assert seconds == pytest.approx([0.0, 0.1, 0.5, 0.6])


def test_rates_that_are_no_whole_numbers(tmp_path):
    _, seconds = write(tmp_path / "o.mp4", [1, 2, 3], Fraction(30000, 1001))
    assert seconds == pytest.approx([0, 1001 / 30000, 2002 / 30000], abs=1e-3)


def test_without_h264_it_is_mpeg4_and_without_both_an_error(tmp_path, monkeypatch):
    available = set(overlay_video.av.codec.codecs_available) - {"libx264"}
    monkeypatch.setattr(overlay_video.av.codec, "codecs_available", available)
    assert len(write(tmp_path / "o.mp4", [1, 2])[0]) == 2
    assert b"mp4v" in (tmp_path / "o.mp4").read_bytes()
    monkeypatch.setattr(overlay_video.av.codec, "codecs_available", set())
    with pytest.raises(InputError, match="no libx264 or mpeg4 encoder; omit --overlay"):
        write(tmp_path / "p.mp4", [1, 2])


def test_what_was_written_before_an_error_is_playable(tmp_path):
    def interrupted():
        yield from (1, 2, 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "o.mp4", interrupted())
    assert len(read_video(tmp_path / "o.mp4")[0]) == 3


def test_numbers_are_written_on_the_mask(tmp_path):
    with_number = write(tmp_path / "o.mp4", [1])[0][0]
    plate = object_colours([2])[0].astype(int)
    middle = with_number[24:36, 14:28].astype(int)
    assert (np.abs(middle - plate).sum(axis=2) < 60).any()
    assert (middle.sum(axis=2) < 150).any()


@pytest.mark.parametrize("scale", [1, 5])
def test_the_thickest_place_lies_inside_the_thick_part(scale):
    mask = np.zeros((60 * scale, 80 * scale), np.bool_)
    mask[2 * scale : 4 * scale, : 70 * scale] = True
    mask[4 * scale : 24 * scale, 50 * scale : 70 * scale] = True
    x, y = thickest_place(mask)
    assert abs(x / scale - 60) < 3
    assert abs(y / scale - 13) < 3


def test_the_thickest_place_of_one_pixel():
    mask = np.zeros((5, 7), np.bool_)
    mask[4, 6] = True
    assert thickest_place(mask) == (6, 4)


@pytest.mark.parametrize(
    ("frames", "ticks"),
    [
        ([(5, None), (6, None), (9, None)], [0, 6000, 24000]),
        ([(1, 2.0), (2, 2.5), (3, 2.75)], [0, 30000, 45000]),
        ([(1, 0.0), (2, None), (4, 1.0)], [0, 6000, 60000]),
        ([(1, 1.0), (2, 1.0), (3, 0.5), (4, 2.0)], [0, 1, 2, 60000]),
    ],
)
def test_times_in_ticks_increase(frames, ticks):
    clock = Clock(Fraction(10))
    image = np.zeros((2, 2, 3), np.uint8)
    given = (Frame(n, "", image, None if t is None else Fraction(t)) for n, t in frames)
    assert [clock.ticks(frame) for frame in given] == ticks
