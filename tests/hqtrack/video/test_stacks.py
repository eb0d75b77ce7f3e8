"""Several images in one file as a video."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError
from hqtrack.video.sources import open_source
from hqtrack.video.stacks import ImageStack, open_stack
from tests.helpers.video_files import pictures


def write(path, frames, **options):
    pages = [PillowImage.fromarray(frame) for frame in frames]
    pages[0].save(path, save_all=True, append_images=pages[1:], **options)
    return path


@pytest.mark.parametrize("name", ["stack.tif", "stack.tiff", "stack.png", "stack.webp"])
def test_all_images_are_frames(tmp_path, name):
    frames = pictures(5)
    options = {"lossless": True} if name.endswith("webp") else {}
    source = open_source(write(tmp_path / name, frames, **options))
    assert isinstance(source, ImageStack)
    assert (source.name, source.total, source.live) == ("stack", 5, False)
    read = list(source.read())
    assert [(frame.number, frame.name) for frame in read] == [(n, f"{n:08d}") for n in range(1, 6)]
    for frame, original in zip(read, frames, strict=True):
        assert frame.image.dtype == np.uint8
        np.testing.assert_array_equal(frame.image, original)
    assert [frame.number for frame in source.read(2, 2)] == [2, 4]
    np.testing.assert_array_equal(next(source.read(4)).image, frames[3])


def test_16_bits_are_scaled_as_in_single_images(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (3, 12, 16), np.uint16)
    cv2.imwritemulti(str(tmp_path / "cells.tif"), list(deep))
    read = [frame.image for frame in open_source(tmp_path / "cells.tif").read()]
    for image, page in zip(read, deep, strict=True):
        assert np.abs(image[..., 0].astype(float) - page / 257).max() <= 1


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_an_animation_has_its_times(tmp_path, name):
    source = open_stack(write(tmp_path / name, pictures(3), duration=[40, 500, 60]), "a")
    assert source.rate == Fraction(3, 1) / Fraction(600, 1000)
    assert [frame.time for frame in source.read()] == [0, Fraction(40, 1000), Fraction(540, 1000)]


def test_a_stack_alone_in_its_folder_is_the_video(tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    write(folder / "all.tif", pictures(4))
    source = open_source(folder)
    assert (source.name, source.total) == ("scan", 4)
    PillowImage.fromarray(pictures(1)[0]).save(folder / "b.png")
    with pytest.raises(InputError, match=r"all\.tif has 4 images in one file where one"):
        list(open_source(folder).read())


def test_previews_are_no_frames(tmp_path):
    image = PillowImage.fromarray(pictures(1)[0])
    small = image.resize((12, 8))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    image.save(tmp_path / "scan.tif", save_all=True, append_images=[small, image])
    source = open_stack(tmp_path / "scan.tif", "scan")
    assert source.pages == (0, 2)
    assert [frame.image.shape for frame in source.read()] == [(32, 48, 3)] * 2


def test_what_is_no_stack(tmp_path):
    PillowImage.fromarray(pictures(1)[0]).save(tmp_path / "one.tif")
    (tmp_path / "bad.tif").write_bytes(b"II*\0 no image")
    assert open_stack(tmp_path / "one.tif", "one") is None
    assert open_stack(tmp_path / "bad.tif", "bad") is None


def test_images_of_several_sizes_are_refused(tmp_path):
    write(tmp_path / "a.tif", [pictures(1)[0], pictures(1, 40, 48)[0]])
    with pytest.raises(InputError, match=r"a\.tif, image 2 is 48x40 but the video started with"):
        list(open_source(tmp_path / "a.tif").read())


def test_a_stack_that_is_cut_off_gives_the_images_before(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (4, 60, 80, 3), np.uint8)
    path = write(tmp_path / "a.png", noise)
    path.write_bytes(path.read_bytes()[:-6000])
    frames = open_source(path).read()
    assert next(frames).number == 1
    with pytest.raises(InputError, match=r"cannot read the images in .*a\.png"):
        list(frames)
