"""Which tracker and which maker of first masks, by the weights that are there."""

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.runs.choice import TrackerChoice, choose_prompted, choose_tracker
from hqtrack.runs.targets import Box, LabelFile, MaskFile, Points, Target

VMOS, TINY, BASE = "save_step_42000.pth", "sam_hq_vit_tiny.pth", "sam_hq_vit_b.pth"


def weights(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"weights")
    return folder


@pytest.mark.parametrize(
    ("files", "preset", "choice", "line"),
    [
        ([VMOS, TINY, BASE], None, ("full", "vit_b"), "full (HQ-SAM vit_b) tracker: its weights"),
        ([VMOS], None, ("light", None), "light tracker: the weights of HQ-SAM are missing"),
        ([BASE], None, ("light", None), "the weights of VMOS are missing (hqtrack weights"),
        ([], None, ("light", None), "the weights of VMOS and HQ-SAM are missing"),
        ([], "full", ("full", "vit_h"), None),
        ([TINY], "full", ("full", "vit_tiny"), None),
        ([VMOS, BASE], "light", ("light", None), None),
    ],
)
def test_the_tracker_and_why(tmp_path, capsys, files, preset, choice, line):
    assert choose_tracker(preset, weights(tmp_path, *files)) == TrackerChoice(*choice)
    said = capsys.readouterr().err
    assert said.count("\n") == (line is not None)
    assert (line or "") in said


BOX, POINT = Target("1", 1, None, Box(1, 1, 2, 2)), Target("2", 2, 9, Points(((1, 1),)))


def test_hqsam_makes_masks_where_its_weights_are(tmp_path, capsys):
    prompted = choose_prompted([BOX, POINT], weights(tmp_path, TINY), None)
    assert prompted.name == "HQ-SAM vit_tiny"
    assert capsys.readouterr().err == "hqtrack: HQ-SAM vit_tiny makes the first masks\n"


def test_else_the_light_one_does_and_it_is_said(tmp_path, capsys):
    prompted = choose_prompted([BOX, POINT], tmp_path, None)
    assert prompted.name == "HQ-SAM light"
    assert prompted.file.is_file()
    said = capsys.readouterr().err
    assert said.startswith("hqtrack: HQ-SAM light makes the first masks; ")
    assert "hqtrack weights download hqsam_vit_b" in said


@pytest.mark.parametrize(
    ("preset", "refiner", "choice"),
    [
        ("light", "light", ("light", "light")),
        ("light", None, ("light", None)),
        ("full", "light", ("full", "light")),
        ("plus", "vit_l", ("plus", "vit_l")),
    ],
)
def test_a_refiner_that_is_asked_for(tmp_path, preset, refiner, choice):
    assert choose_tracker(preset, tmp_path, refiner) == TrackerChoice(*choice)


def test_the_light_tracker_takes_the_light_refiner_only(tmp_path):
    with pytest.raises(InputError, match="light tracker does not take the refiner vit_b: give the"):
        choose_tracker("light", tmp_path, "vit_b")


def test_masks_need_nobody(tmp_path, capsys):
    choose_prompted(
        [Target("1", 1, None, MaskFile(LabelFile(tmp_path, "", np.zeros((1, 1), np.uint8)), 1))],
        tmp_path,
        None,
    )
    assert capsys.readouterr().err == ""
