"""Mask files in the formats in which people save them."""

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video.mask_files import read_labels, read_mask_file, read_numbers, tell, write_labels

ONE = (np.hypot(*np.mgrid[-30:30, -35:45]) < 15).astype(np.uint8)
TWO = ONE + 2 * np.roll(ONE, 40, axis=1)
WHITE = ONE * 255
RED_GREEN = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 0], [0, 0, 0]], np.uint8)[TWO]


def save(array, path, **options):
    picture = array if isinstance(array, PillowImage.Image) else PillowImage.fromarray(array)
    picture.save(path, **options)
    return path


def indexed(numbers, first=(0, 0, 0)):
    picture = PillowImage.fromarray(numbers, mode="P")
    picture.putpalette([*first, 9, 9, 9, *[0] * 762])
    return picture


def with_alpha(colours, opacity):
    return np.dstack([colours, opacity]).astype(np.uint8)


PHOTO = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bit.png", ONE > 0),
        ("ones.png", ONE),
        ("white.png", WHITE),
        ("white.bmp", np.dstack([WHITE] * 3)),
        ("white.gif", WHITE),
        ("indexed.png", indexed(WHITE)),
        ("deep.png", ONE.astype(np.uint16) * 65535),
        ("deep.tif", ONE.astype(np.uint16) * 255),
        ("float.tif", ONE.astype(np.float32)),
        ("red.png", np.dstack([WHITE, 0 * ONE, 0 * ONE])),
        ("brush.png", with_alpha(np.full((60, 80, 3), 7), WHITE)),
        ("faint.png", with_alpha(np.full((60, 80, 3), 7), ONE * 100)),
        ("cut out.png", with_alpha(PHOTO, WHITE)),
        ("visible.png", with_alpha(np.dstack([WHITE] * 3), np.full_like(ONE, 200))),
        ("quantised.png", PillowImage.fromarray(np.dstack([WHITE] * 3)).quantize(2)),
    ],
)
def test_one_object(tmp_path, name, content):
    labels = read_labels(save(content, tmp_path / name))
    assert labels.dtype == np.int32
    number = 2396745 if name == "red.png" else 1
    np.testing.assert_array_equal(labels, ONE.astype(np.int32) * number)


@pytest.mark.parametrize("name", ["grey.jpg", "colour.jpg", "rough.jpg", "lossy.webp"])
def test_a_black_and_white_mask_in_a_format_that_blurs(tmp_path, name):
    content = WHITE if name == "grey.jpg" else np.dstack([WHITE] * 3)
    quality = 30 if name == "rough.jpg" else 75
    read = read_mask_file(save(content, tmp_path / name, quality=quality))
    assert np.count_nonzero(read.labels != ONE) <= 8
    [note] = read.notes
    assert note.kind == "soft"
    assert "read as one object" in note.text


def test_numbers_in_a_jpeg_are_refused(tmp_path):
    for path in (save(TWO, tmp_path / "low.jpg"), save(TWO * 100, tmp_path / "high.jpg")):
        with pytest.raises(InputError, match=r"is a JPEG, which blurs numbers.*grey PNG"):
            read_labels(path)
    with pytest.raises(InputError, match=r"is a colour JPEG.*save the mask as an indexed"):
        read_labels(save(RED_GREEN, tmp_path / "colour.jpg"))


@pytest.mark.parametrize("name", ["colours.png", "colours.webp", "colours.gif"])
def test_colours(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    content = PillowImage.fromarray(RED_GREEN)
    read = read_mask_file(save(content, tmp_path / name, **options))
    np.testing.assert_array_equal(read.labels, np.array([0, 2396745, 2, 0])[TWO])
    assert read.notes[0].text.endswith("(#008000, #ff0000)")


def test_transparent_pixels_are_background(tmp_path):
    content = with_alpha(np.where(TWO[..., None] > 0, RED_GREEN, 77), (TWO > 0) * 255)
    labels = read_labels(save(content, tmp_path / "layer.png"))
    assert np.unique(labels).tolist() == [0, 2, 2396745]


def test_void_is_said_once(tmp_path, capsys):
    rim = cv2.dilate(ONE, np.ones((3, 3))) - ONE
    path = save(indexed(ONE + 255 * rim), tmp_path / "m.png")
    read = read_mask_file(path)
    np.testing.assert_array_equal(read.labels, ONE)
    np.testing.assert_array_equal(read.void, rim > 0)
    told = set()
    tell(read, told)
    tell(read, told)
    said = capsys.readouterr().err
    assert said.count(f"m.png: 255 is void, {rim.sum()} pixels") == 1


def test_a_mask_is_turned_like_its_image(tmp_path):
    exif = PillowImage.Exif()
    exif[0x0112] = 6
    labels = read_labels(save(ONE, tmp_path / "m.png", exif=exif))
    np.testing.assert_array_equal(labels, np.rot90(ONE, 3))


@pytest.mark.parametrize("name", ["stack.tif", "stack.gif", "stack.png"])
def test_several_masks_in_one_file_are_refused(tmp_path, name):
    pages = [PillowImage.fromarray(page) for page in (WHITE, 255 - WHITE)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match=f"{name} has 2 images in one file: save the mask of each"):
        read_labels(tmp_path / name)


def test_arrays(tmp_path):
    np.save(tmp_path / "m.npy", TWO)
    np.testing.assert_array_equal(read_labels(tmp_path / "m.npy"), TWO)
    np.save(tmp_path / "m.npy", ONE > 0)
    np.testing.assert_array_equal(read_labels(tmp_path / "m.npy"), ONE)


def huge(path):
    np.save(path, TWO)
    path.write_bytes(path.read_bytes().replace(b"(60, 80)", b"(6000000, 8000000)"[:18]))


@pytest.mark.parametrize(
    "write",
    [
        lambda path: np.save(path, np.zeros((2, 4, 4))),
        lambda path: np.save(path, np.array([["a"]])),
        lambda path: np.save(path, np.array([[{}]], object), allow_pickle=True),
        lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"),
        lambda path: path.write_bytes(b"not an array"),
        huge,
    ],
)
def test_arrays_that_are_no_masks(tmp_path, write):
    write(tmp_path / "m.npy")
    with pytest.raises(InputError, match=r"m\.npy is not an? (array|file of numpy)"):
        read_labels(tmp_path / "m.npy")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(MissingFileError, match=r"nothing\.png"):
        read_labels(tmp_path / "nothing.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*folder\.png \(Is a directory\)"):
        read_labels(tmp_path / "folder.png")
    data = save(PHOTO, tmp_path / "cut.png").read_bytes()
    for kept in (data[: len(data) // 2], b"not an image", b""):
        (tmp_path / "cut.png").write_bytes(kept)
        with pytest.raises(InputError, match=r"cut\.png as a mask file: it is damaged"):
            read_labels(tmp_path / "cut.png")


@pytest.mark.parametrize(("highest", "mode"), [(0, "P"), (254, "P"), (255, "I;16"), (300, "I;16")])
def test_labels_survive_the_disk(tmp_path, highest, mode):
    labels = np.kron(np.arange(highest + 1, dtype=np.int32), np.ones((3, 3), np.int32))
    labels[:, labels[0] < highest - 9] = 0
    write_labels(tmp_path / "labels.png", labels)
    for read in (read_labels, read_numbers):
        back = read(tmp_path / "labels.png")
        assert back.dtype == np.int32
        np.testing.assert_array_equal(back, labels)
    with PillowImage.open(tmp_path / "labels.png") as picture:
        assert picture.mode == mode
        if mode == "P":
            assert picture.getpalette()[:3] == [0, 0, 0]
            assert picture.getpalette()[3:6] != [0, 0, 0]


@pytest.mark.parametrize("labels", [[[-1]], [[65535]]])
def test_labels_that_do_not_fit_are_refused(tmp_path, labels):
    with pytest.raises(InputError, match="0 to 65534"):
        write_labels(tmp_path / "labels.png", np.array(labels))
    assert not (tmp_path / "labels.png").exists()


def test_numbers_are_those_of_a_written_map_alone(tmp_path):
    write_labels(tmp_path / "labels.png", ONE.astype(np.int32) * 255)
    assert read_numbers(tmp_path / "labels.png").max() == 255
    with pytest.raises(InputError, match="not a label map that hqtrack wrote"):
        read_numbers(save(PHOTO, tmp_path / "photo.png"))
