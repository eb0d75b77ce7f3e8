"""The images and annotations of a workspace's sequences are counted, whatever the toolkit makes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError
from hqtrack.evaluation.sequence_files import examine_sequence, listed_sequences
from tests.helpers.workspaces import small_workspace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with links to its images; s0 has 5 of them and two objects."""
    return small_workspace(tmp_path_factory.mktemp("files"), (5, 3))


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A sequence to break, with images of its own."""
    return Path(shutil.copytree(made / "sequences" / "s0", tmp_path / "s0"))


def image(folder: Path, number: int, ending: str = "jpg") -> Path:
    return folder / "color" / f"{number:08d}.{ending}"


def test_what_hqtrack_makes_is_whole(made: Path) -> None:
    assert [(one.name, one.trouble) for one in listed_sequences(made / "sequences")] == [
        ("s0", ""),
        ("s1", ""),
    ]


def test_links_to_nothing(folder: Path, made: Path) -> None:
    image(folder, 3).unlink()
    image(folder, 3).symlink_to("/nowhere/3.jpg")
    assert "00000003.jpg is a link to /nowhere/3.jpg, where no image is" in examine_sequence(folder)
    shutil.rmtree(folder / "color")
    (folder / "color").symlink_to("/nowhere")
    assert "no folder color" in examine_sequence(folder)


def add_line(folder: Path) -> None:
    with (folder / "groundtruth_002.txt").open("a") as file:
        file.write("0\n")


def cut(folder: Path) -> None:
    path = folder / "groundtruth_001.txt"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))


def rename(folder: Path) -> None:
    for number in range(1, 6):
        image(folder, number).rename(image(folder, number - 1))


def edit(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "sequence").write_text(
        (folder / "sequence").read_text().replace(old, new)
    )


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda f: image(f, 3).unlink(), "color/00000003.jpg is missing and 2 images follow it"),
        (lambda f: image(f, 1).unlink(), "color/00000001.jpg is missing and 4 images follow it"),
        (lambda f: image(f, 5).unlink(), "4 images and groundtruth_001.txt has 5 lines"),
        (rename, "numbered from 0"),
        (lambda f: image(f, 2).write_bytes(b""), "color/00000002.jpg is empty"),
        (lambda f: image(f, 1).write_bytes(b"<html>"), "00000001.jpg cannot be read as an image"),
        (lambda f: image(f, 5).rename(image(f, 5, "png")), "00000005.png and 0 other images"),
        (lambda f: image(f, 5).rename(f / "color" / "5.jpg"), "5.jpg and 0 other images"),
        (lambda f: [shutil.rmtree(f / "color"), (f / "color").mkdir()], "has no images"),
        (lambda f: shutil.rmtree(f / "color"), "no folder color"),
        (lambda f: shutil.rmtree(f), "its folder is not there"),
        (lambda f: (f / "groundtruth_001.txt").write_text(""), "line 1 is not a region"),
        (lambda f: (f / "groundtruth_001.txt").write_text("0\n0\n"), "nowhere says"),
        (lambda f: (f / "groundtruth_001.txt").write_text("m0,0,2,2,9\n"), "runs do not fit"),
        (add_line, "5 images and groundtruth_002.txt has 6 lines"),
        (cut, "5 images and groundtruth_001.txt has 3 lines"),
        (lambda f: [path.unlink() for path in f.glob("ground*")], "no groundtruth.txt"),
        (lambda f: (f / "sequence").unlink(), ""),
        (edit("channels.color", "channels.depth"), "no channel color"),
        (edit("color/%08d.jpg", "color/%08d.tif"), "write one number and .jpg or .png"),
        (edit("color/%08d.jpg", "color/frame.jpg"), "write one number and .jpg or .png"),
        (edit("width=80", "width=90"), "00000001.jpg is 80x60, the file sequence says 90x60"),
        (edit("fps=30", "fps=30\nlength=7"), "it has 5 images, its file sequence says length=7"),
        (edit("fps=30", "fps=30\nchannels.depth=depth/"), "no folder depth"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, fault: Callable[[Path], object], said: str) -> None:
    assert examine_sequence(folder) == ""
    fault(folder)
    trouble = examine_sequence(folder)
    assert said in trouble
    assert bool(trouble) == bool(said)


def test_an_annotation_that_ends_where_its_object_starts_is_whole(folder: Path) -> None:
    for path in folder.glob("groundtruth_*.txt"):
        lines = path.read_text().splitlines(keepends=True)
        start = next(index for index, line in enumerate(lines) if line[0] == "m")
        path.write_text("".join(lines[: start + 1]))
    assert examine_sequence(folder) == ""


def test_what_operating_systems_leave_is_not_counted(folder: Path) -> None:
    for name in ("._00000001.jpg", ".DS_Store", "Thumbs.db"):
        (folder / "color" / name).write_bytes(b"x")
    (folder / "._groundtruth_001.txt").write_bytes(b"x")
    PillowImage.new("RGB", (9, 9)).save(folder / "color" / "preview.jpg")
    assert examine_sequence(folder) == ""


@pytest.mark.parametrize("line", ["", "..", ".", "a/..", "a\x1bb", "a\u202eb"])
def test_a_line_of_the_list_that_is_no_name_is_told(made: Path, tmp_path: Path, line: str) -> None:
    sequences = shutil.copytree(made / "sequences", tmp_path / "sequences", symlinks=True)
    (sequences / "list.txt").write_text(f"s0\n{line}\ns1\n", encoding="utf-8")
    troubles = [one.trouble for one in listed_sequences(sequences)]
    assert [bool(trouble) for trouble in troubles] == [False, True, False]
    assert "line 2 of list.txt" in troubles[1]


def test_a_sequence_that_is_listed_twice(made: Path, tmp_path: Path) -> None:
    sequences = shutil.copytree(made / "sequences", tmp_path / "sequences", symlinks=True)
    (sequences / "list.txt").write_text(f"s0\n{sequences}/s0\n")
    assert "twice" in listed_sequences(sequences)[1].trouble


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n"])
def test_a_list_of_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(InputError, match=r"list\.txt"):
        listed_sequences(tmp_path)
