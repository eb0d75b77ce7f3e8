"""Cut-outs and overlay."""

import av
import cv2
import numpy as np
import pytest

from hqtrack.exports.pictures import (
    cut_out,
    file_name,
    write_cutout_videos,
    write_cutouts,
    write_overlay,
)
from hqtrack.exports.stored import open_run
from hqtrack.runs.objects import Numbered
from tests.helpers.followed import followed
from tests.helpers.video_files import read_video


def test_cut_outs_have_the_object_and_nothing_else(folder, tmp_path):
    run = open_run(folder)
    to = tmp_path / "cutouts"
    to.mkdir()
    write_cutouts(run, run.open_video(), to)
    assert sorted(path.name for path in to.iterdir()) == ["003_the_cat", "007_never", "500"]
    picture = cv2.imread(str(to / "003_the_cat" / "7.png"), cv2.IMREAD_UNCHANGED)
    mask = followed(7).masks[0]
    np.testing.assert_array_equal(picture[..., 3], 255 * mask)
    assert picture[2, 0].tolist() == [200, 100, 70, 255]
    assert not picture[~mask].any()
    assert len(list((to / "007_never").iterdir())) == 4


def alpha_of(frame):
    """The plane itself: converting a frame of such a size to RGBA reads beyond it."""
    plane = frame.planes[3]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]


def test_cut_out_videos_are_transparent(folder, tmp_path):
    run = open_run(folder)
    write_cutout_videos(run, run.open_video(), tmp_path)
    with av.open(tmp_path / "500.webm") as container:
        stream = container.streams.video[0]
        assert stream.metadata["ALPHA_MODE"] == "1"
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        frames = [
            frame
            for packet in container.demux(stream)
            for frame in decoder.decode(packet if packet.size else None)
        ]
    assert [frame.format.name for frame in frames] == ["yuva420p"] * 4
    times = [float(frame.pts * stream.time_base) for frame in frames]
    assert times == pytest.approx([0, 0.08, 0.16, 0.24], abs=2e-3)
    mask = followed(7).masks[1]
    assert alpha_of(frames[3])[mask].min() > 128
    assert alpha_of(frames[3])[9:, 12:].max() < 64
    assert alpha_of(frames[0]).max() < 64


def test_the_overlay_shows_the_frames_of_the_run(folder, tmp_path):
    run = open_run(folder)
    write_overlay(run, run.open_video(), tmp_path / "overlay.mp4")
    pictures, seconds = read_video(tmp_path / "overlay.mp4")
    assert seconds == pytest.approx([0, 0.08, 0.16, 0.24])
    assert pictures[3].shape == (12, 20, 3)


def test_cut_out():
    image = np.full((1, 2, 3), 9, np.uint8)
    assert cut_out(image, np.array([[True, False]])).tolist() == [[[9, 9, 9, 255], [0, 0, 0, 0]]]


@pytest.mark.parametrize(
    ("number", "name", "expected"),
    [
        (3, "3", "003"),
        (12, "the cat", "012_the_cat"),
        (4, "../../etc", "004_etc"),
        (5, "///", "005"),
        (6, "Hündin", "006_Hündin"),
        (7, "x" * 300, "007_" + "x" * 60),
    ],
)
def test_file_names(number, name, expected):
    assert file_name(Numbered(number, name)) == expected
