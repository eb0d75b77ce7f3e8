"""Images on disk."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video import (
    list_images,
    read_frames,
    read_image,
)
from hqtrack.video.images import encode_jpeg, write_image


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def save(array, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(array).save(path, **options)
    return path


def test_colour_png_is_read_as_rgb(tmp_path, rgb):
    image = read_image(save(rgb, tmp_path / "image.png"))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, rgb)


def test_jpeg_is_decoded_by_opencv(tmp_path, rgb):
    path = save(rgb, tmp_path / "image.jpg")
    expected = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, :, ::-1]
    np.testing.assert_array_equal(read_image(path), expected)


def test_grey_becomes_rgb(tmp_path, rgb):
    image = read_image(save(rgb[:, :, 0], tmp_path / "image.png"))
    np.testing.assert_array_equal(image, np.repeat(rgb[:, :, :1], 3, axis=2))


def test_alpha_is_dropped(tmp_path, rgb):
    image = read_image(save(np.dstack([rgb, rgb[:, :, :1]]), tmp_path / "image.png"))
    np.testing.assert_array_equal(image, rgb)


def test_palette_is_looked_up(tmp_path, rgb):
    picture = PillowImage.fromarray(rgb).convert("P")
    picture.save(tmp_path / "image.png")
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), picture.convert("RGB"))


@pytest.mark.parametrize("shape", [(12, 16), (12, 16, 3)])
def test_16_bits_are_scaled_to_8(tmp_path, shape):
    deep = np.random.default_rng(1).integers(0, 65536, shape, np.uint16)
    cv2.imwrite(str(tmp_path / "image.png"), deep)
    image = read_image(tmp_path / "image.png").astype(float)
    expected = np.dstack([deep] * 3) if deep.ndim == 2 else deep[:, :, ::-1]
    assert np.abs(image - expected / 257).max() <= 1


def test_exif_orientation_is_applied(tmp_path):
    exif = PillowImage.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated clockwise
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:, :24] = 255
    shown = read_image(save(stored, tmp_path / "image.jpg", exif=exif))
    assert shown.shape == (48, 32, 3)
    assert shown[:16].min() > 200
    assert shown[32:].max() < 50


@pytest.mark.parametrize(("suffix", "keep"), [(".jpg", 0.5), (".png", 0.5), (".jpg", 0)])
def test_a_damaged_image_is_an_error_with_its_path(tmp_path, suffix, keep):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    path = save(noise, tmp_path / f"image{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match=f"image{suffix}.*damaged"):
        read_image(path)


def test_a_missing_file_is_an_error_with_its_path(tmp_path):
    with pytest.raises(MissingFileError, match=r"nothing\.png"):
        read_image(tmp_path / "nothing.png")


def test_a_folder_is_no_image(tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*folder\.png \(Is a directory\)"):
        read_image(tmp_path / "folder.png")


@pytest.mark.parametrize("suffix", [".tif", ".png", ".webp"])
def test_several_images_in_one_file_are_no_image(tmp_path, rgb, suffix):
    pages = [PillowImage.fromarray(rgb), PillowImage.fromarray(255 - rgb)]
    path = tmp_path / f"stack{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=rf"stack\{suffix} has 2 images in one file.*as a video"):
        read_image(path)


def test_a_preview_is_no_second_image(tmp_path, rgb):
    image, small = PillowImage.fromarray(rgb), PillowImage.fromarray(rgb[::2, ::2])
    small.encoderinfo = {"tiffinfo": {254: 1}}
    image.save(tmp_path / "scan.tif", save_all=True, append_images=[small])
    np.testing.assert_array_equal(read_image(tmp_path / "scan.tif"), rgb)


def test_read_frames_names_the_image_of_another_size(tmp_path, rgb):
    paths = [save(rgb, tmp_path / "1.png"), save(rgb[:, :9], tmp_path / "2.png")]
    frames = read_frames(paths)
    np.testing.assert_array_equal(next(frames), rgb)
    with pytest.raises(InputError, match=r"2\.png is 9x12 but .* 16x12"):
        next(frames)


def test_images_are_listed_in_the_order_of_their_numbers(tmp_path, rgb):
    for name in ("frame10.png", "frame9.JPG", "frame1.jpeg", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in list_images(tmp_path)] == [
        "frame1.jpeg",
        "frame9.JPG",
        "frame10.png",
    ]


def test_folders_without_images_or_with_one_name_twice_are_refused(tmp_path):
    with pytest.raises(MissingFileError, match="there is no folder"):
        list_images(tmp_path / "nothing")
    with pytest.raises(InputError, match="no images in"):
        list_images(tmp_path)
    (tmp_path / "1.jpg").touch()
    with pytest.raises(InputError, match="not a folder"):
        list_images(tmp_path / "1.jpg")
    (tmp_path / "1.png").touch()
    with pytest.raises(InputError, match="have the same name"):
        list_images(tmp_path)


def test_images_are_written_in_rgb(tmp_path):
    image = np.zeros((16, 24, 3), np.uint8)
    image[:, :12], image[:, 12:] = (250, 40, 10), (5, 60, 200)
    write_image(tmp_path / "1.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "1.png"), image)
    write_image(tmp_path / "1.jpg", image)
    difference = read_image(tmp_path / "1.jpg").astype(int)[:, ::23] - image[:, ::23]
    assert np.abs(difference).max() <= 6
    rough = encode_jpeg(image, 20)
    assert rough[:2] == b"\xff\xd8"
    assert len(rough) < (tmp_path / "1.jpg").stat().st_size


@pytest.mark.parametrize("name", ["1.png", "1.jpg"])
def test_an_image_that_cannot_be_written(tmp_path, name):
    with pytest.raises(FileNotFoundError):
        write_image(tmp_path / "no folder" / name, np.zeros((4, 4, 3), np.uint8))


def test_a_pipe_is_told_as_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match=r"^\S+pipe\.png is no regular file: give an image"):
        read_image(tmp_path / "pipe.png")
