"""Frames in any order are those that are read one after the other."""

import random

import av
import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.app.frames import Frames
from hqtrack.errors import InputError
from hqtrack.video.sources import open_source
from tests.helpers.video_files import pictures, write_video


def write_long(path):
    """A video of 60 frames with key frames far apart, and frames that are shown out of order."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "25", "bf": "3"})
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for picture in pictures(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))
    return path


def write_folder(path):
    path.mkdir()
    for number, picture in enumerate(pictures(9), start=1):
        PillowImage.fromarray(picture).save(path / f"{number}.png")
    return path


def write_stack(path):
    first, *others = map(PillowImage.fromarray, pictures(9))
    first.save(path, save_all=True, append_images=others)
    return path


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("long.mp4", write_long),
        ("long.mkv", write_long),
        ("short.avi", lambda path: write_video(path, pictures(9), codec="mpeg4")),
        ("folder", write_folder),
        ("stack.tif", write_stack),
    ],
)
def test_any_order_gives_the_same(tmp_path, name, write):
    source = open_source(write(tmp_path / name))
    expected = [frame.image for frame in source.read()]
    frames = Frames(source)
    assert frames.count == len(expected)
    numbers = list(range(1, frames.count + 1))
    random.Random(1).shuffle(numbers)
    for number in [*numbers, *sorted(numbers), *sorted(numbers, reverse=True)]:
        np.testing.assert_array_equal(frames.image(number), expected[number - 1])


def test_frames_are_kept_up_to_a_number_and_a_size(tmp_path, monkeypatch):
    source = open_source(write_folder(tmp_path / "folder"))
    frames = Frames(source)
    first = frames.image(1)
    assert frames.image(1) is first
    assert not first.flags.writeable
    assert first.base is None
    frames.image(2)
    assert len(frames._kept) == 2
    for most, kept in ((3 * first.nbytes, 3), (first.nbytes - 1, 1)):
        monkeypatch.setattr("hqtrack.app.frames._KEPT_BYTES", most)
        for number in (5, 6, 7, 8):
            frames.image(number)
        assert list(frames._kept) == [6, 7, 8][-kept:]
    monkeypatch.setattr("hqtrack.app.frames._KEPT_BYTES", 2**30)
    monkeypatch.setattr("hqtrack.app.frames._KEPT", 2)
    for number in (1, 2, 3):
        frames.image(number)
    assert list(frames._kept) == [2, 3]


def test_a_damaged_frame_is_what_the_reader_shows(tmp_path):
    path = write_long(tmp_path / "damaged.mp4")
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        place, size = packets[30].pos, packets[30].size
    data = bytearray(path.read_bytes())
    data[place + 8 : place + size] = bytes(size - 8)
    path.write_bytes(data)
    source = open_source(path)
    expected = {frame.number: frame.image for frame in source.read()}
    frames = Frames(source)
    for number in (1, 20, 45, 60):
        np.testing.assert_array_equal(frames.image(number), expected[number])


def test_what_is_not_there(tmp_path):
    frames = Frames(open_source(write_folder(tmp_path / "folder")))
    for number in (0, 10):
        with pytest.raises(InputError, match=f"no frame {number}: the video has 9"):
            frames.image(number)
    with pytest.raises(InputError, match="is live: record it"):
        Frames(open_source("0"))
