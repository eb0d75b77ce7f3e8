"""Decoding that survives damaged pictures, and finds the pictures among covers."""

from fractions import Fraction

import av
import numpy as np
import pytest

from hqtrack.video.packets import decode, find_pictures
from tests.helpers.video_files import pictures, write_damaged, write_song, write_video


@pytest.fixture
def damaged(tmp_path):
    return write_damaged(tmp_path / "clip.avi", pictures(8), [3, 4])


def test_a_damaged_picture_is_none_at_its_place(damaged):
    with av.open(damaged) as container:
        found = list(decode(container, find_pictures(container), tolerant=True))
    assert [each.picture is None for each in found] == [n in (3, 4) for n in range(1, 9)]
    assert [each.time for each in found] == [Fraction(n, 10) for n in range(8)]


def test_without_tolerance_it_ends_the_video(damaged):
    with av.open(damaged) as container:
        found = decode(container, find_pictures(container), tolerant=False)
        assert next(found).time == 0
        with pytest.raises(av.InvalidDataError):
            list(found)


def test_the_cover_of_a_song_is_no_video(tmp_path):
    with av.open(write_song(tmp_path / "song.mp3", np.full((16, 16, 3), 9, np.uint8))) as song:
        assert len(song.streams.video) == 1
        assert find_pictures(song) is None
    with av.open(write_video(tmp_path / "clip.mp4", pictures(2))) as clip:
        assert find_pictures(clip) is clip.streams.video[0]
