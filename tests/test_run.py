"""Following objects through an own folder of images, with a tracker that only moves them."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.cli import main
from hqtrack.masks import check_masks
from hqtrack.tracker import Tracked
from hqtrack.video import read_image, read_labels, write_labels

HEIGHT, WIDTH = 12, 20


class Moving:
    """Moves every mask one pixel to the right per frame; stops with ``fails`` on frame 4."""

    def __init__(self, fails):
        self.fails, self.frame = fails, 1

    def initialize(self, image, masks):
        check_masks(masks, image)
        self.masks = masks

    def track(self, image):
        self.frame += 1
        if self.frame == 4 and self.fails:
            raise self.fails
        self.masks = np.roll(self.masks, 1, axis=2)
        return Tracked(self.masks, np.ones(len(self.masks), np.float32))


@pytest.fixture
def built(monkeypatch):
    """What was asked of hqtrack.build; ``fails`` is handed on to the tracker."""
    state = SimpleNamespace(asked=[], fails=None)

    def build_tracker(preset, device=None, weights=None):
        state.asked.append((preset, device, weights))
        return Moving(state.fails)

    monkeypatch.setitem(sys.modules, "hqtrack.build", SimpleNamespace(build_tracker=build_tracker))
    return state


@pytest.fixture
def labels():
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[2:5, 2:6], labels[6:9, 3:8] = 3, 300
    return labels


@pytest.fixture
def arguments(tmp_path, labels):
    """A folder of five images named with gaps, the mask of the first, and where to write."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 5, 9, 10, 100):
        PillowImage.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{number}.png")
    write_labels(tmp_path / "first.png", labels)
    options = [folder, "--mask", tmp_path / "first.png", "--output", tmp_path / "out" / "deep"]
    return ["run", *map(str, options)]


def written(tmp_path):
    return sorted(path.name for path in (tmp_path / "out" / "deep").glob("*.png"))


def test_writes_a_label_map_per_image_with_the_numbers_given(tmp_path, arguments, built, labels):
    assert main(arguments) == 0
    output = tmp_path / "out" / "deep"
    assert sorted(path.name for path in output.iterdir()) == written(tmp_path)
    for step, name in enumerate(["1.png", "5.png", "9.png", "10.png", "100.png"]):
        np.testing.assert_array_equal(read_labels(output / name), np.roll(labels, step, axis=1))
    assert built.asked == [("full", None, None)]


def test_options_reach_the_tracker_and_overlays_are_drawn(tmp_path, arguments, built):
    options = ["--overlay", "--preset", "light", "--device", "cpu", "--weights", "w.safetensors"]
    assert main([*arguments, *options]) == 0
    [(preset, device, weights)] = built.asked
    assert (preset, device, str(weights)) == ("light", "cpu", "w.safetensors")
    overlays = tmp_path / "out" / "deep" / "overlay"
    assert len(list(overlays.iterdir())) == 5
    drawn = read_image(overlays / "100.jpg")
    assert drawn[7, 8].max() > 60  # object 300, moved by 4
    assert drawn[11, 19].max() < 30


def test_what_is_done_is_kept_when_interrupted(tmp_path, arguments, built):
    built.fails = KeyboardInterrupt()
    assert main(arguments) == 130
    assert written(tmp_path) == ["1.png", "5.png", "9.png"]


def test_what_is_done_is_kept_when_an_image_is_bad(tmp_path, arguments, built, capsys):
    (tmp_path / "images" / "9.png").write_bytes(b"no image")
    assert main(arguments) == 2
    assert written(tmp_path) == ["1.png", "5.png"]
    assert "9.png" in capsys.readouterr().err
    PillowImage.new("RGB", (WIDTH, 5)).save(tmp_path / "images" / "9.png")
    assert main(arguments) == 2
    assert "9.png: the image is 20x5 but the video started with 20x12" in capsys.readouterr().err


def error_of(arguments, capsys):
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    return next(line for line in lines if line.startswith("hqtrack: error: "))


def test_a_mask_of_the_wrong_size(tmp_path, arguments, built, capsys):
    write_labels(tmp_path / "first.png", np.ones((WIDTH, HEIGHT), np.int32))
    assert "12x20 and the image is 20x12" in error_of(arguments, capsys)


def test_a_mask_without_objects(tmp_path, arguments, built, capsys):
    write_labels(tmp_path / "first.png", np.zeros((HEIGHT, WIDTH), np.int32))
    assert "marks no object" in error_of(arguments, capsys)
    assert built.asked == []


def test_a_mask_that_is_not_there(tmp_path, arguments, built, capsys):
    (tmp_path / "first.png").unlink()
    assert "first.png" in error_of(arguments, capsys)


def test_an_output_that_cannot_be_written(tmp_path, arguments, built, capsys):
    (tmp_path / "out").write_text("a file where the folder should be")
    assert str(tmp_path / "out") in error_of(arguments, capsys)
    assert built.asked == []


@pytest.mark.parametrize("output", ["images", "images/../images"])
def test_the_images_are_never_written_over(tmp_path, arguments, built, capsys, output):
    arguments = [*arguments[:-1], str(tmp_path / output)]
    assert "another --output" in error_of(arguments, capsys)
    assert read_image(tmp_path / "images" / "1.png").shape == (HEIGHT, WIDTH, 3)


def test_a_mask_file_among_the_images_is_no_image(tmp_path, arguments, built, labels):
    write_labels(tmp_path / "images" / "0.png", labels)
    arguments[arguments.index("--mask") + 1] = str(tmp_path / "images" / "0.png")
    assert main(arguments) == 0
    assert "0.png" not in written(tmp_path)


def test_a_folder_with_nothing_but_the_mask(tmp_path, arguments, built, capsys, labels):
    (tmp_path / "alone").mkdir()
    write_labels(tmp_path / "alone" / "mask.png", labels)
    arguments[1], arguments[3] = str(tmp_path / "alone"), str(tmp_path / "alone" / "mask.png")
    assert "no image besides" in error_of(arguments, capsys)
