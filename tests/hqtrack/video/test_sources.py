"""The source that each argument opens."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video.sources import open_source
from hqtrack.video.streams import Camera, EncodedVideo
from tests.helpers.video_files import pictures, write_video


@pytest.fixture
def folder(tmp_path):
    """Images 2, 9, 10 of different brightness, and a text."""
    folder = tmp_path / "street" / "color"
    folder.mkdir(parents=True)
    for number in (10, 9, 2):
        PillowImage.new("RGB", (8, 6), (number, 0, 0)).save(folder / f"f{number}.png")
    (folder / "notes.txt").write_text("no image")
    return folder


def read(source, *options):
    return [(frame.number, frame.name, frame.image[0, 0, 0]) for frame in source.read(*options)]


IN_ORDER = [(1, "f2.png", 2), (2, "f9.png", 9), (3, "f10.png", 10)]


def test_a_folder_of_images(folder):
    source = open_source(folder)
    assert read(source) == IN_ORDER
    assert (source.name, source.total, source.live) == ("street", 3, False)
    assert source.address == str(folder)


def test_a_pattern_quoted_and_unquoted(folder):
    (folder / "g5.png").write_bytes(b"")
    assert read(open_source(str(folder / "f*.png"))) == IN_ORDER
    assert read(open_source(*folder.glob("f*.png"))) == IN_ORDER


def test_a_relative_pattern(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert read(open_source("f?.png")) == IN_ORDER[:2]


def test_a_sequence_is_its_folder_color(folder):
    source = open_source(folder.parent)
    assert read(source) == IN_ORDER
    assert (source.name, source.address) == ("street", str(folder))
    (folder.parent / "masks").mkdir()
    PillowImage.new("L", (8, 6)).save(folder.parent / "masks" / "f2.png")
    assert read(open_source(folder.parent)) == IN_ORDER
    PillowImage.new("RGB", (8, 6)).save(folder.parent / "a.png")
    assert [frame[1] for frame in read(open_source(folder.parent))] == ["a.png"]


def test_a_folder_of_folders_names_one(folder):
    (folder.parent / "other").mkdir()
    with pytest.raises(InputError, match=r"no images in .*, but in 1 folders in it.*street/frames"):
        open_source(folder.rename(folder.parent / "frames").parent)


def test_a_pattern_with_the_place_of_a_number(folder):
    (folder / "fx.png").write_bytes(b"")
    assert read(open_source(folder / "f%d.png")) == IN_ORDER
    assert read(open_source(folder / "f%05d.png")) == IN_ORDER
    with pytest.raises(MissingFileError, match=r"no image matches .*g%d\.png.*%05d a number"):
        open_source(folder / "g%d.png")


@pytest.mark.parametrize("name", ["a[1]", "b*c", "what?", "x y", "\u00e4\u4e2d", "100%d", "[z"])
def test_folders_with_any_name(folder, name, monkeypatch):
    place = folder.rename(folder.parent / name)
    for typed in (place, place / "f*.png", place / "f[0-9]*.png", place / "f%d.png"):
        assert read(open_source(str(typed))) == IN_ORDER
    monkeypatch.chdir(place.parent)
    assert read(open_source(f"{name}/f*.png")) == IN_ORDER
    clip = write_video(place / f"{name}.mp4", pictures(2))
    assert open_source(str(clip)).expected == 2


def test_wildcards_in_names_of_folders(folder):
    assert read(open_source(str(folder.parent.parent / "str*" / "c?lor" / "f*.png"))) == IN_ORDER


def test_images_that_are_left_out_are_not_decoded(folder):
    (folder / "f9.png").write_bytes(b"damaged")
    source = open_source(folder)
    assert [frame[0] for frame in read(source, 1, 2)] == [1, 3]
    assert [frame[0] for frame in read(source, 3, 1)] == [3]
    with pytest.raises(InputError, match=r"f9\.png.*damaged"):
        read(source)


def test_a_single_image(folder):
    source = open_source(str(folder / "f9.png"))
    assert read(source) == [(1, "f9.png", 9)]
    assert source.name == "f9"


def test_masks_are_no_frames(folder):
    source = open_source(folder, but_not=[folder / ".." / "color" / "f2.png"])
    assert [frame[1] for frame in read(source)] == ["f9.png", "f10.png"]
    with pytest.raises(InputError, match="no image except the mask"):
        open_source(str(folder / "f2*"), but_not=[folder / "f2.png"])


def test_an_image_of_another_size_is_named(folder):
    PillowImage.new("RGB", (7, 6)).save(folder / "f10.png")
    with pytest.raises(InputError, match=r"f10\.png is 7x6 but .* 8x6"):
        read(open_source(folder))


def test_a_video_file_a_camera_and_streams(tmp_path, monkeypatch):
    source = open_source(str(write_video(tmp_path / "my clip.mp4", pictures(2))))
    assert isinstance(source, EncodedVideo)
    assert (source.name, source.address) == ("my clip", str(tmp_path / "my clip.mp4"))
    assert open_source("2") == Camera(2)
    opened = []
    monkeypatch.setattr("hqtrack.video.sources.open_video", lambda *given: opened.append(given))
    open_source("rtsp://host/door")
    open_source("https://host/a/clip.mp4?key=1")
    assert opened == [
        ("rtsp://host/door", "door", True),
        ("https://host/a/clip.mp4?key=1", "clip", False),
    ]


def test_a_file_named_like_a_number_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("7").write_bytes(write_video(tmp_path / "a.mp4", pictures(2)).read_bytes())
    assert isinstance(open_source("7"), EncodedVideo)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["nothing.mp4"], r"no file or folder nothing\.mp4; check the path"),
        (["nothing*.png"], r"no image matches nothing\*\.png"),
        (["a.mp4", "b.mp4"], r"no image matches a\.mp4 \.\.\.; .*of videos, give one"),
        (["a.txt", "b.txt"], r"no image matches a\.txt \.\.\.; image files end in"),
    ],
)
def test_what_is_not_there(tmp_path, monkeypatch, typed, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match=message):
        open_source(*typed)


def test_two_images_of_one_name(folder):
    PillowImage.new("RGB", (8, 6)).save(folder / "f9.jpg")
    with pytest.raises(InputError, match="have the same name"):
        open_source(str(folder / "*"))


def test_no_permission():
    """Also as root, who may read anything, and so is somebody else for a moment."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        path = Path(name, "clip.mp4")
        path.write_bytes(b"secret")
        path.chmod(0)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(InputError, match=r"no permission to read .*clip\.mp4: ask"):
                open_source(str(path))
        finally:
            os.seteuid(user)


def test_frames_are_read_one_at_a_time(folder):
    frames = open_source(folder).read()
    assert next(frames).number == 1
    (folder / "f9.png").unlink()
    with pytest.raises(MissingFileError, match=r"f9\.png"):
        next(frames)


def test_pixels_are_rgb(tmp_path):
    PillowImage.fromarray(np.full((4, 4, 3), (1, 2, 3), np.uint8)).save(tmp_path / "a.png")
    [frame] = open_source(tmp_path).read()
    assert frame.image[0, 0].tolist() == [1, 2, 3]
