"""Sequences as people have them: how frames and masks are numbered, and what lies beside them."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video import find_sequences, list_images, open_sequence
from hqtrack.video.images import is_hidden


def make_sequence(
    folder: Path, frames: range = range(1, 4), masks: range = range(1, 4), ending: str = "png"
) -> Path:
    """Grey frames, and masks whose only label is the number in their name, plus 1."""
    for name, numbers in (("color", frames), ("masks", masks)):
        (folder / name).mkdir(parents=True)
        for number in numbers:
            last = "jpg" if name == "color" else ending
            value = 90 if name == "color" else number + 1
            pixels = np.full((6, 8), value, np.uint8)
            PillowImage.fromarray(pixels).save(folder / name / f"{number:08d}.{last}")
    return folder


def test_masks_numbered_from_0_beside_frames_from_1_are_not_shifted_in_silence(
    tmp_path: Path,
) -> None:
    folder = make_sequence(tmp_path / "cat", masks=range(3))
    with pytest.raises(InputError, match=r"00000000\.png belongs to no frame.*--mask-shift 1"):
        open_sequence(folder)
    shifted = open_sequence(folder, mask_shift=1)
    assert [shifted.objects, [int(shifted.labels(k)[0, 0]) for k in range(3)]] == [(1,), [1, 2, 3]]


def test_a_single_mask_numbered_0_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --mask-shift 1"):
        open_sequence(make_sequence(tmp_path / "cat", masks=range(1)))


def test_masks_of_other_frames_are_strangers_whatever_is_added(tmp_path: Path) -> None:
    folder = make_sequence(tmp_path / "cat", masks=range(2, 9))
    with pytest.raises(InputError, match=r"00000004\.png belongs to no frame, as 5 of 7 masks"):
        open_sequence(folder)
    with pytest.raises(InputError, match="adding 1 to their numbers"):
        open_sequence(make_sequence(tmp_path / "dog", masks=range(0, 3, 2)), mask_shift=5)


def test_frames_numbered_from_0_have_the_masks_of_their_numbers(tmp_path: Path) -> None:
    sequence = open_sequence(make_sequence(tmp_path / "cat", range(3), range(3)))
    assert [path.stem for path in sequence.frames] == ["00000000", "00000001", "00000002"]
    assert sequence.fully_annotated
    assert [int(sequence.labels(k)[0, 0]) for k in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("ending", ["PNG", "bmp", "tif", "jpg.png", "jpg"])
def test_masks_in_other_formats_are_there(tmp_path: Path, ending: str) -> None:
    assert open_sequence(make_sequence(tmp_path / "cat", ending=ending)).fully_annotated


@pytest.mark.parametrize("name", ["overview.png", "mask_00000001.png", "1.5.png"])
def test_a_mask_without_a_number_is_reported(tmp_path: Path, name: str) -> None:
    folder = make_sequence(tmp_path / "cat")
    PillowImage.new("L", (8, 6)).save(folder / "masks" / name)
    with pytest.raises(InputError, match=rf"{re.escape(name)} belongs to no frame"):
        open_sequence(folder)


@pytest.mark.parametrize("name", ["1.png", "00000001.PNG", "00000001.bmp"])
def test_two_masks_of_one_frame_are_refused(tmp_path: Path, name: str) -> None:
    folder = make_sequence(tmp_path / "cat")
    PillowImage.new("L", (8, 6)).save(folder / "masks" / name)
    with pytest.raises(InputError, match="have the same n"):
        open_sequence(folder)


def test_two_frames_of_one_number_are_refused(tmp_path: Path) -> None:
    folder = make_sequence(tmp_path / "cat")
    PillowImage.new("L", (8, 6)).save(folder / "color" / "2.jpg")
    with pytest.raises(InputError, match="have the same n"):
        open_sequence(folder)


def test_masks_that_are_no_images_are_not_taken_for_none(tmp_path: Path) -> None:
    folder = make_sequence(tmp_path / "cat", masks=range(0))
    (folder / "masks" / "00000001.npy").touch()
    with pytest.raises(InputError, match="masks has no image"):
        open_sequence(folder)


@pytest.mark.parametrize("name", [".DS_Store", "._00000001.jpg", "__MACOSX", "@eaDir", ".git"])
def test_what_operating_systems_leave_is_hidden(name: str) -> None:
    assert is_hidden(Path("videos/cat") / name)
    # a name tells of itself only: a person may keep frames in a hidden folder
    assert not is_hidden(Path("videos") / name / "00000001.jpg")


def test_hidden_files_are_neither_frames_nor_masks(tmp_path: Path) -> None:
    folder = make_sequence(tmp_path / "cat")
    for name in ("color", "masks"):
        for path in list((folder / name).iterdir()):
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        (folder / name / ".DS_Store").touch()
        (folder / name / "Thumbs.db").touch()
    make_sequence(tmp_path / "__MACOSX")
    make_sequence(tmp_path / ".cache")
    (sequence,) = find_sequences(tmp_path)
    assert sequence.fully_annotated
    assert [path.stem for path in sequence.frames] == ["00000001", "00000002", "00000003"]


def test_a_folder_of_nothing_but_hidden_images_has_none(tmp_path: Path) -> None:
    (tmp_path / "._1.jpg").touch()
    with pytest.raises(InputError, match="no images in"):
        list_images(tmp_path)


def test_a_sequence_given_by_dots_has_the_name_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(make_sequence(tmp_path / "cat") / "masks")
    assert open_sequence(Path("..")).name == "cat"


def save(array, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(array).save(path, **options)
    return path


def labelled_sequence(folder, frames=(1, 2, 3), masks=(1, 2, 3), labels=(0, 1, 2)):
    image = np.zeros((6, 8, 3), np.uint8)
    label_map = np.zeros((6, 8), np.uint8)
    label_map[0, : len(labels)] = labels
    for number in frames:
        save(image, folder / "color" / f"{number:08d}.jpg")
    for number in masks:
        save(label_map, folder / "masks" / f"{number:08d}.png")
    return folder


def test_a_sequence(tmp_path):
    sequence = open_sequence(labelled_sequence(tmp_path / "cat"))
    assert sequence.name == "cat"
    assert [path.name for path in sequence.frames] == [f"0000000{n}.jpg" for n in (1, 2, 3)]
    assert sequence.fully_annotated
    assert sequence.objects == (1, 2)
    masks = sequence.first_masks()
    assert masks.shape == (2, 6, 8)
    assert np.argwhere(masks).tolist() == [[0, 0, 1], [1, 0, 2]]
    assert sequence.labels(2)[0, :3].tolist() == [0, 1, 2]


def test_void_alone_is_no_object_where_masks_have_numbers(tmp_path):
    folder = labelled_sequence(tmp_path / "cat", labels=(0, 1, 255))
    save(np.eye(6, 8, dtype=np.uint8) * 255, folder / "masks" / "00000002.png")
    sequence = open_sequence(folder)
    assert sequence.objects == (1,)
    assert not sequence.labels(1).any()
    np.testing.assert_array_equal(sequence.content(1).void, np.eye(6, 8) > 0)
    white = labelled_sequence(tmp_path / "dog", labels=(0, 255))
    assert open_sequence(white).labels(1).max() == 1


def test_objects_are_the_labels_of_the_first_frame_in_order(tmp_path):
    folder = labelled_sequence(tmp_path / "cat", masks=(1,), labels=(0, 254, 7))
    save(np.full((6, 8), 7, np.uint8), folder / "masks" / "00000003.png")
    sequence = open_sequence(folder)
    assert sequence.objects == (7, 254)
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
        open_sequence(labelled_sequence(tmp_path / "cat", frames=frames))


def test_frames_without_numbers_are_refused(tmp_path):
    folder = labelled_sequence(tmp_path / "cat")
    (folder / "color" / "00000002.jpg").rename(folder / "color" / "second.jpg")
    with pytest.raises(InputError, match=r"second\.jpg"):
        open_sequence(folder)


@pytest.mark.parametrize("masks", [(), (2, 3)])
def test_a_missing_first_mask_is_named_when_asked_for(tmp_path, masks):
    sequence = open_sequence(labelled_sequence(tmp_path / "cat", masks=masks))
    assert not sequence.fully_annotated
    with pytest.raises(MissingFileError, match=r"cat: 00000001\.jpg has no mask"):
        sequence.first_masks()


def test_find_sequences_sorts_and_ignores_other_files(tmp_path):
    for name in ("dog", "cat"):
        labelled_sequence(tmp_path / name)
    (tmp_path / "list.txt").touch()
    (tmp_path / "other").mkdir()
    assert [sequence.name for sequence in find_sequences(tmp_path)] == ["cat", "dog"]
    assert [sequence.name for sequence in find_sequences(tmp_path / "cat")] == ["cat"]


def test_a_linked_sequence_has_the_name_of_the_link(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(labelled_sequence(tmp_path / "cat"))
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
