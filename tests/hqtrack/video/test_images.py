"""Images, label maps and sequences on disk."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video import (
    find_sequences,
    list_images,
    open_sequence,
    read_frames,
    read_image,
    read_labels,
    write_labels,
)
from hqtrack.video.images import encode_jpeg, write_image


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def save(array, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(array).save(path, **options)
    return path


def make_sequence(folder, frames=(1, 2, 3), masks=(1, 2, 3), labels=(0, 1, 2)):
    image = np.zeros((6, 8, 3), np.uint8)
    label_map = np.zeros((6, 8), np.uint8)
    label_map[0, : len(labels)] = labels
    for number in frames:
        save(image, folder / "color" / f"{number:08d}.jpg")
    for number in masks:
        save(label_map, folder / "masks" / f"{number:08d}.png")
    return folder


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


@pytest.mark.parametrize("read", [read_image, read_labels])
def test_a_missing_file_is_an_error_with_its_path(tmp_path, read):
    with pytest.raises(MissingFileError, match=r"nothing\.png"):
        read(tmp_path / "nothing.png")


@pytest.mark.parametrize("read", [read_image, read_labels])
def test_a_folder_is_no_image(tmp_path, read):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*folder\.png \(Is a directory\)"):
        read(tmp_path / "folder.png")


def test_read_frames_names_the_image_of_another_size(tmp_path, rgb):
    paths = [save(rgb, tmp_path / "1.png"), save(rgb[:, :9], tmp_path / "2.png")]
    frames = read_frames(paths)
    np.testing.assert_array_equal(next(frames), rgb)
    with pytest.raises(InputError, match=r"2\.png is 9x12 but .* 16x12"):
        next(frames)


@pytest.mark.parametrize(("highest", "mode"), [(0, "P"), (2, "P"), (255, "P"), (300, "I;16")])
def test_labels_survive_the_disk(tmp_path, highest, mode):
    labels = np.minimum(np.arange(360, dtype=np.int32), highest).reshape(18, 20)
    write_labels(tmp_path / "labels.png", labels)
    back = read_labels(tmp_path / "labels.png")
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, labels)
    with PillowImage.open(tmp_path / "labels.png") as picture:
        assert picture.mode == mode
        if mode == "P":
            assert picture.getpalette()[:3] == [0, 0, 0]
            assert picture.getpalette()[3:6] != [0, 0, 0]


@pytest.mark.parametrize("labels", [[[-1]], [[65536]]])
def test_labels_that_do_not_fit_are_refused(tmp_path, labels):
    with pytest.raises(InputError, match="0 to 65535"):
        write_labels(tmp_path / "labels.png", np.array(labels))
    assert not (tmp_path / "labels.png").exists()


@pytest.mark.parametrize(
    "labels", [np.array([[0, 3], [255, 1]], np.uint8), np.array([[False, True]])]
)
def test_grey_and_one_bit_label_maps(tmp_path, labels):
    np.testing.assert_array_equal(read_labels(save(labels, tmp_path / "labels.png")), labels)


def test_colour_and_damaged_label_maps_are_refused(tmp_path, rgb):
    with pytest.raises(InputError, match=r"labels\.png is a colour image"):
        read_labels(save(rgb, tmp_path / "labels.png"))
    noise = np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)
    data = save(noise, tmp_path / "cut.png").read_bytes()
    for kept in (data[: len(data) // 2], b"not an image", b""):
        (tmp_path / "cut.png").write_bytes(kept)
        with pytest.raises(InputError, match=r"cut\.png as a mask file: it is damaged"):
            read_labels(tmp_path / "cut.png")


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


def test_a_sequence(tmp_path):
    sequence = open_sequence(make_sequence(tmp_path / "cat"))
    assert sequence.name == "cat"
    assert [path.name for path in sequence.frames] == [f"0000000{n}.jpg" for n in (1, 2, 3)]
    assert sequence.fully_annotated
    assert sequence.objects == (1, 2)
    masks = sequence.first_masks()
    assert masks.shape == (2, 6, 8)
    assert np.argwhere(masks).tolist() == [[0, 0, 1], [1, 0, 2]]
    assert sequence.labels(2)[0, :3].tolist() == [0, 1, 2]


def test_objects_are_the_labels_of_the_first_frame_in_order(tmp_path):
    folder = make_sequence(tmp_path / "cat", masks=(1,), labels=(0, 255, 7))
    save(np.full((6, 8), 7, np.uint8), folder / "masks" / "00000003.png")
    sequence = open_sequence(folder)
    assert sequence.objects == (7, 255)
    assert np.argwhere(sequence.first_masks()).tolist() == [[0, 0, 2], [1, 0, 1]]
    assert sequence.masks(2).any(axis=(1, 2)).tolist() == [True, False]
    assert not sequence.fully_annotated
    assert sequence.annotations[1] is None


@pytest.mark.parametrize(
    ("frames", "missing"),
    [((1, 2, 4), "00000003.jpg"), ((2, 3), "00000001.jpg"), ((1, 2, 3, 7, 8), "00000004.jpg")],
)
def test_a_gap_is_an_error_that_names_the_frame(tmp_path, frames, missing):
    with pytest.raises(InputError, match=f"cat has no frame {missing}"):
        open_sequence(make_sequence(tmp_path / "cat", frames=frames))


def test_frames_without_numbers_are_refused(tmp_path):
    folder = make_sequence(tmp_path / "cat")
    (folder / "color" / "00000002.jpg").rename(folder / "color" / "second.jpg")
    with pytest.raises(InputError, match=r"second\.jpg"):
        open_sequence(folder)


@pytest.mark.parametrize("masks", [(), (2, 3)])
def test_a_missing_first_mask_is_named_when_asked_for(tmp_path, masks):
    sequence = open_sequence(make_sequence(tmp_path / "cat", masks=masks))
    assert not sequence.fully_annotated
    with pytest.raises(MissingFileError, match=r"cat: 00000001\.jpg has no mask"):
        sequence.first_masks()


def test_find_sequences_sorts_and_ignores_other_files(tmp_path):
    for name in ("dog", "cat"):
        make_sequence(tmp_path / name)
    (tmp_path / "list.txt").touch()
    (tmp_path / "other").mkdir()
    assert [sequence.name for sequence in find_sequences(tmp_path)] == ["cat", "dog"]
    assert [sequence.name for sequence in find_sequences(tmp_path / "cat")] == ["cat"]


def test_a_linked_sequence_has_the_name_of_the_link(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(make_sequence(tmp_path / "cat"))
    assert [sequence.name for sequence in find_sequences(tmp_path)] == ["cat", "link"]
    monkeypatch.chdir(tmp_path / "cat")
    assert open_sequence(Path(".")).name == "cat"


def test_find_sequences_explains_what_it_looked_for(tmp_path):
    with pytest.raises(InputError, match="no sequences in"):
        find_sequences(tmp_path)
    with pytest.raises(MissingFileError, match="there is no folder"):
        find_sequences(tmp_path / "nothing")


def test_the_shared_sequences_open(shared):
    sequences = {sequence.name: sequence for sequence in find_sequences(shared / "data/sequences")}
    assert len(sequences["blackswan"].frames) == 50
    assert sequences["blackswan"].fully_annotated
    assert sequences["aotdemo_1001"].objects == tuple(range(1, 45))
    judo = sequences["cutie_judo"].annotations
    assert [index for index, path in enumerate(judo) if path] == [0, 5, 8, 13]


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
