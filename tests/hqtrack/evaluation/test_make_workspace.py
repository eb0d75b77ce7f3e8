from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from vot.dataset import Sequence as VotSequence
from vot.region import Mask, Special
from vot.tracker import Registry
from vot.workspace import Workspace

from hqtrack.cli import main
from hqtrack.errors import InputError, MissingFileError
from hqtrack.evaluation.make_workspace import REGISTRY, make_workspace
from hqtrack.files import shipped
from hqtrack.presets import TRACKERS
from hqtrack.synthetic import generate
from hqtrack.video import find_sequences, write_labels, write_sequence

SIZE = (48, 64)


def write(folder: Path, annotations: dict[int, np.ndarray], frames: int = 4) -> Path:
    """A sequence of grey frames with some label maps."""
    for name in ("color", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(1, frames + 1):
        cv2.imwrite(str(folder / "color" / f"{number:08d}.jpg"), np.full((*SIZE, 3), 90, np.uint8))
    for number, labels in annotations.items():
        write_labels(folder / "masks" / f"{number:08d}.png", labels)
    return folder


def labels(**boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A label map with boxes (left, top, right, bottom), object k given as ok."""
    painted = np.zeros(SIZE, np.int32)
    for name, (left, top, right, bottom) in boxes.items():
        painted[top:bottom, left:right] = int(name[1:])
    return painted


ONE, TWO = (5, 6, 15, 16), (30, 20, 40, 44)


def loaded(source: Path, tmp_path: Path) -> dict[str, VotSequence]:
    """What the toolkit reads of the workspace made of the sequences in ``source``."""
    make_workspace(tmp_path / "workspace", find_sequences(source))
    dataset = Workspace.load(str(tmp_path / "workspace")).dataset
    return {sequence.name: sequence for sequence in dataset}


def states(sequence: VotSequence, name: str) -> list[str]:
    """unknown, empty or the size of the region, per frame."""
    return [
        "unknown"
        if isinstance(region, Special)
        else str(int(region.mask.sum()))
        if region.mask.any()
        else "empty"
        for region in sequence.object(name)
    ]


def test_the_toolkit_reads_what_was_generated(tmp_path: Path) -> None:
    images, masks = generate(3, frames=20, size=(60, 80), objects=3)
    write_sequence(tmp_path / "made" / "some", *generate(3, frames=20, size=(60, 80), objects=3))
    sequence = loaded(tmp_path / "made", tmp_path)["some"]
    assert len(sequence) == 20
    assert sequence.size == (80, 60)
    assert sorted(sequence.objects()) == ["001", "002", "003"]
    for name in sequence.objects():
        for index, region in enumerate(sequence.object(name)):
            assert isinstance(region, Mask)
            expected = masks[index] == int(name)
            assert np.array_equal(region.rasterize((0, 0, 79, 59)) > 0, expected)
    difference = np.abs(sequence.frame(5).channel().astype(int) - images[5])
    assert difference.mean() < 6


def test_with_a_mask_on_every_frame_an_object_that_is_missing_is_empty(tmp_path: Path) -> None:
    both, one = labels(o1=ONE, o2=TWO), labels(o1=ONE)
    write(tmp_path / "in" / "late", {1: one, 2: one, 3: both, 4: one})
    sequence = loaded(tmp_path / "in", tmp_path)["late"]
    assert states(sequence, "001") == ["100", "100", "100", "100"]
    assert states(sequence, "002") == ["unknown", "unknown", "240", "empty"]


def test_without_a_mask_on_every_frame_a_label_map_speaks_only_of_its_objects(
    tmp_path: Path,
) -> None:
    write(tmp_path / "in" / "sparse", {1: labels(o1=ONE), 3: labels(o2=TWO)})
    sequence = loaded(tmp_path / "in", tmp_path)["sparse"]
    assert states(sequence, "001") == ["100", "unknown", "unknown", "unknown"]
    assert states(sequence, "002") == ["unknown", "unknown", "240", "unknown"]


def test_void_is_no_object_and_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "in" / "rim", {})
    for number, drawn in ((1, labels(o1=ONE, o255=TWO)), (2, labels(o255=TWO))):
        cv2.imwrite(str(folder / "masks" / f"{number:08d}.png"), drawn.astype(np.uint8))
    sequence = loaded(tmp_path / "in", tmp_path)["rim"]
    assert states(sequence, "object") == ["100", "unknown", "unknown", "unknown"]
    assert capsys.readouterr().err.count("255 is void, 240 pixels") == 1


def test_colours_are_the_same_objects_on_all_frames(tmp_path: Path) -> None:
    folder = write(tmp_path / "in" / "painted", {})
    palette = np.array([(0, 0, 0), (0, 0, 255), (255, 255, 0)], np.uint8)
    for number, drawn in ((1, labels(o1=ONE, o2=TWO)), (2, labels(o2=TWO)), (3, labels(o1=ONE))):
        cv2.imwrite(str(folder / "masks" / f"{number:08d}.png"), palette[drawn])
    sequence = loaded(tmp_path / "in", tmp_path)["painted"]
    assert states(sequence, "001") == ["100", "unknown", "100", "unknown"]
    assert states(sequence, "002") == ["240", "240", "unknown", "unknown"]


def test_one_object_goes_to_groundtruth_txt(tmp_path: Path) -> None:
    write(tmp_path / "in" / "single", {1: labels(o7=ONE)})
    sequence = loaded(tmp_path / "in", tmp_path)["single"]
    assert states(sequence, "object") == ["100", "unknown", "unknown", "unknown"]
    assert (tmp_path / "workspace" / "sequences" / "single" / "groundtruth.txt").is_file()


@pytest.mark.parametrize("column", [0, 10, 63])
def test_an_object_one_pixel_wide_is_not_lost(tmp_path: Path, column: int) -> None:
    write(tmp_path / "in" / "thin", {1: labels(o1=(column, 4, column + 1, 9))})
    sequence = loaded(tmp_path / "in", tmp_path)["thin"]
    region = sequence.object("object")[0]
    assert np.argwhere(region.rasterize((0, 0, 63, 47))).tolist() == [
        [row, column] for row in range(4, 9)
    ]


def test_masks_off_by_one_are_fitted(tmp_path: Path) -> None:
    write(tmp_path / "in" / "narrow", {1: labels(o1=ONE)[:, :-1]})
    assert states(loaded(tmp_path / "in", tmp_path)["narrow"], "object")[0] == "100"


def test_frames_are_linked_or_copied(tmp_path: Path) -> None:
    write(tmp_path / "in" / "some", {1: labels(o1=ONE)})
    make_workspace(tmp_path / "linked", find_sequences(tmp_path / "in"))
    make_workspace(tmp_path / "copied", find_sequences(tmp_path / "in"), copy=True)
    frame = Path("sequences", "some", "color", "00000001.jpg")
    assert (tmp_path / "linked" / frame).is_symlink()
    assert not (tmp_path / "copied" / frame).is_symlink()
    assert (tmp_path / "copied" / frame).read_bytes() == (tmp_path / "linked" / frame).read_bytes()


def test_the_command_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = write(tmp_path / "in" / "some", {1: labels(o1=ONE)}), tmp_path / "out"
    assert main(["workspace", str(target), "--sequences", str(source.parent)]) == 0
    assert f"vot evaluate --workspace {target}" in capsys.readouterr().out
    registry = Workspace.load(str(target)).registry
    assert {"HQTrack", "HQTrackLight", "FirstMask"} <= set(registry.identifiers())


def test_without_a_checkout_the_workspace_has_its_own_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hqtrack.evaluation.make_workspace.REGISTRY", tmp_path / "lib" / "trackers.ini"
    )
    write(tmp_path / "in" / "some", {1: labels(o1=ONE)})
    make_workspace(tmp_path / "out", find_sequences(tmp_path / "in"))
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    registry = Workspace.load(str(moved)).registry
    assert set(registry.identifiers()) == set(TRACKERS)
    assert registry["FirstMask"].runtime()._command.endswith(" -m hqtrack.vot")


def test_the_registry_of_an_installation_is_that_of_the_checkout_without_paths() -> None:
    ours, installed = Registry([str(REGISTRY)]), Registry([str(shipped("trackers.ini"))])
    assert ours.identifiers() == installed.identifiers()
    for name in ours.identifiers():
        description = ours[name].describe()
        del description["paths"]
        assert installed[name].describe() == description


class TestErrors:
    def refused(self, source: Path, target: Path, message: str) -> None:
        with pytest.raises(InputError, match=message):
            make_workspace(target, find_sequences(source))
        assert not target.with_name(f"{target.name}.partial").exists()

    def test_no_sequences(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        self.refused(tmp_path / "in", tmp_path / "out", "no sequences")

    def test_a_gap(self, tmp_path: Path) -> None:
        folder = write(tmp_path / "in" / "some", {1: labels(o1=ONE)})
        (folder / "color" / "00000002.jpg").unlink()
        self.refused(tmp_path / "in", tmp_path / "out", "no frame 00000002")

    def test_no_object_on_the_first_frame(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "some", {2: labels(o1=ONE)})
        self.refused(tmp_path / "in", tmp_path / "out", "no object on its first frame")
        assert not (tmp_path / "out").exists()

    def test_masks_of_another_size(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "some", {1: labels(o1=ONE)[:-2]})
        self.refused(tmp_path / "in", tmp_path / "out", "64x46, the frames are 64x48")

    def test_a_workspace_that_is_there_already(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "some", {1: labels(o1=ONE)})
        make_workspace(tmp_path / "out", find_sequences(tmp_path / "in"))
        self.refused(tmp_path / "in", tmp_path / "out", "is already a workspace")

    def test_a_folder_that_holds_other_things(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "some", {1: labels(o1=ONE)})
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").touch()
        self.refused(tmp_path / "in", tmp_path / "out", "contains other files")
        assert (tmp_path / "out" / "thesis.tex").exists()

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "some", {1: labels(o1=ONE)})
        (tmp_path / "file").touch()
        self.refused(tmp_path / "in", tmp_path / "file" / "out", "cannot write")

    def test_a_path_that_trax_cannot_carry(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "größe", {1: labels(o1=ONE)})
        self.refused(tmp_path / "in", tmp_path / "out", "ASCII")

    @pytest.mark.parametrize("name", ["..", ".", "", " a", "a ", "a\nb", "a\x1bb", "a\tb", "a/b"])
    def test_a_name_that_is_no_line_of_a_list(self, tmp_path: Path, name: str) -> None:
        source = find_sequences(write(tmp_path / "in", {1: labels(o1=ONE)}))
        named = [replace(one, name=name) for one in source]
        with pytest.raises(InputError, match="cannot be called"):
            make_workspace(tmp_path / "out", named)
        assert not (tmp_path / "out").exists()

    def test_two_sequences_of_one_name(self, tmp_path: Path) -> None:
        source = find_sequences(write(tmp_path / "in", {1: labels(o1=ONE)}))
        with pytest.raises(InputError, match="two sequences are called in"):
            make_workspace(tmp_path / "out", source * 2)

    @pytest.mark.parametrize("name", ["100%", "%d", "take[2]"])
    def test_a_name_that_the_toolkit_takes_for_a_pattern(self, tmp_path: Path, name: str) -> None:
        write(tmp_path / "in" / name, {1: labels(o1=ONE)})
        self.refused(tmp_path / "in", tmp_path / "out", "cannot read from a path with")
        write(tmp_path / "other" / "some", {1: labels(o1=ONE)})
        self.refused(
            tmp_path / "other", tmp_path / name / "out", "out'?: the VOT toolkit cannot read"
        )

    def test_dots_for_a_folder_are_not_a_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(write(tmp_path / "some", {1: labels(o1=ONE)}) / "masks")
        assert main(["workspace", str(tmp_path / "out"), "--sequences", ".."]) == 0
        assert (tmp_path / "out" / "sequences" / "list.txt").read_text() == "some\n"

    def test_a_registry_that_is_not_there(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "some", {1: labels(o1=ONE)})
        with pytest.raises(MissingFileError, match="--registry"):
            make_workspace(tmp_path / "out", find_sequences(tmp_path / "in"), tmp_path / "none.ini")


def test_the_registry_describes_all_our_trackers_and_no_other() -> None:
    registry = Registry([str(REGISTRY)])
    assert set(registry.identifiers()) == set(TRACKERS)
    for name, preset in TRACKERS.items():
        description = registry[name].describe()
        assert description["env"] == {"HQTRACK_PRESET": preset.name}
        assert description["paths"] == "tracker:models"


@pytest.mark.parametrize("folder", [".", "demo"])
def test_our_workspaces_find_the_registry(folder: str) -> None:
    home = REGISTRY.parent / "vot_workspace" / folder
    settings = dict(
        line.split(": ") for line in (home / "config.yaml").read_text().splitlines() if ": " in line
    )
    (entry,) = [
        line[2:] for line in (home / "config.yaml").read_text().splitlines() if line[:2] == "- "
    ]
    assert (home / entry).resolve() == REGISTRY
    assert settings["stack"] == ("vots2023" if folder == "." else "stack.yaml")


def test_the_demonstration_has_the_stack_of_every_workspace() -> None:
    demo = REGISTRY.parent / "vot_workspace" / "demo" / "stack.yaml"
    assert demo.read_text() == shipped("stack.yaml").read_text()


def test_the_vots2023_workspace_runs_offline_once_sequences_are_there(tmp_path: Path) -> None:
    write(tmp_path / "in" / "some", {1: labels(o1=ONE)})
    make_workspace(tmp_path / "out", find_sequences(tmp_path / "in"))
    config = (REGISTRY.parent / "vot_workspace" / "config.yaml").read_text()
    (tmp_path / "out" / "config.yaml").write_text(config.replace("../trackers.ini", str(REGISTRY)))
    challenge = Workspace.load(str(tmp_path / "out"))
    assert challenge.stack.name == "vots2023"
    assert [sequence.name for sequence in challenge.dataset] == ["some"]
    assert "HQTrack" in challenge.registry
