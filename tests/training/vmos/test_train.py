"""``python -m training.vmos``: recipes, options, and runs that do not fit them."""

import json

import pytest

from hqtrack.errors import InputError
from tests.helpers import layouts
from training.data.datasets import open_dataset
from training.vmos.train import main, parse, split


def test_recipes_are_the_stages_of_the_report_and_flags_override_them():
    one = parse(["--run", "r", "--recipe", "stage1"])
    numbers = (
        one.steps,
        one.learning_rate,
        one.last_learning_rate,
        one.weight_decay,
        one.video,
        one.encoder_ratio,
    )
    assert numbers == (100_000, 4e-4, 2e-5, 0.03, 0.0, 1.0)
    two = parse(["--run", "r", "--recipe", "stage2", "--weight-decay", "0.05"])
    numbers = (
        two.steps,
        two.learning_rate,
        two.last_learning_rate,
        two.weight_decay,
        two.video,
        two.encoder_ratio,
    )
    assert numbers == (150_000, 2e-4, 1e-5, 0.05, 1.0, 0.1)
    for args in (one, two):
        assert (args.size, args.frames, args.memory_gap, args.power) == (465, 5, 2, 0.9)
        assert args.clip == 5.0


def test_steps_are_asked_for_without_a_recipe(capsys):
    with pytest.raises(SystemExit):
        parse(["--run", "r"])
    assert "give --steps or a --recipe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--size 96", "--size 96: give a multiple of 16 plus 1"),
        ("--size 97 --width 96", "--width 96: give a multiple of 16 plus 1"),
        ("--frames 1", "--frames 1: give 2 or more"),
        ("--save-every 0", "--save-every 0: give 1 or more"),
        ("--held-out mine", "--held-out mine: no dataset has a video of that name"),
        ("--start a --encoder b", "give either --start or --encoder"),
        ("--start a --encoder b --deepen --config full", "give either --start or --encoder"),
        ("--start missing.pt", "there is no checkpoint missing.pt"),
        ("--device cuda:99", "there is no device 'cuda:99'"),
    ],
)
def test_options_that_make_no_training(run, capsys, flags, message):
    assert main([*run[1], *flags.split()]) == 2
    assert message in capsys.readouterr().err


def test_a_run_of_another_configuration_is_refused(run, tmp_path, capsys):
    config = tmp_path / "own.json"
    config.write_text(json.dumps({"widths": [16, 32, 64], "norm_groups": 8}))
    assert main([*run[1], "--config", str(config), "--size", "97"]) == 2
    error = capsys.readouterr().err
    assert "has encoder.name tf_efficientnet_lite0, " in error
    assert ", encoder.stride 4, " in error


@pytest.mark.parametrize("name", ["cars", "cars_a"])
def test_a_scene_is_held_out_as_a_whole(tmp_path, name):
    dataset = open_dataset(layouts.sequences(tmp_path, ("cars_a", "cars_b", "bus")))
    kept, held_out = split([dataset], [name])
    assert [video.name for video in kept[0].videos] == ["bus"]
    assert [video.name for video in held_out] == ["cars_a", "cars_b"]


def test_a_held_out_video_has_to_be_there(tmp_path):
    dataset = open_dataset(layouts.sequences(tmp_path))
    with pytest.raises(InputError, match="--held-out bus: no dataset has"):
        split([dataset], ["bus"])
