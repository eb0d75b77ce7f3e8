"""Training a VMOS: what a step learns from, where it starts, learning a clip by heart."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from hqtrack import synthetic
from hqtrack.errors import InputError
from hqtrack.light import LIGHT_SEGMENTER, LIGHT_VMOS
from hqtrack.video import write_sequence
from tests.helpers.imagenet import stand_in
from tests.helpers.tiny_vmos import TINY, tiny_vmos
from training import export
from training.data.layouts import read_sequences
from training.engine.processes import World
from training.engine.run_folder import RunFolder
from training.engine.trainer import Settings, Trainer
from training.vmos.augment import augment
from training.vmos.clips import ClipConfig, Clips, RawClip
from training.vmos.recipes import read_config
from training.vmos.rollout import LossConfig, roll_out
from training.vmos.start import deepen, initialise, take_encoder
from training.vmos.task import VMOSTask
from training.vmos.train import main, parse
from vmos import VMOSConfig, build_vmos

CPU = World(torch.device("cpu"))


def clips(size=49, frames=3):
    config = ClipConfig(size=size, frames=frames, video=0.0, generated=1.0, objects=TINY.objects)
    return Clips(config, [], seed=0)


def raw(frames=3, count=2):
    supply = clips(frames=frames)
    return default_collate([supply[number] for number in range(count)])


def rolled(model, config, frames=3, **options):
    """Always by the same generators."""
    generator = torch.Generator().manual_seed(0)
    return roll_out(model.train(), augment(raw(frames)), config, generator, **options).losses


def equal(a, b):
    assert list(a) == list(b)
    return all(torch.equal(a[key], b[key]) for key in a)


def test_initialised_deformable_convolutions_are_plain_means():
    model = initialise(build_vmos(TINY))
    changed = [name for name, p in model.named_parameters() if p.ndim > 1 and not p.any()]
    assert len(changed) == 2 * sum(TINY.encoder_depths)
    assert all(".dcn.offset." in name or ".dcn.mask." in name for name in changed)


def test_blocks_that_deepen_an_encoder_change_nothing_at_first():
    model = tiny_vmos()
    depths = tuple(depth + 1 + level for level, depth in enumerate(TINY.encoder_depths))
    deeper = replace(TINY, encoder_depths=depths)
    grown = build_vmos(deeper, deepen(deeper, model.state_dict()))
    image = torch.rand(1, 3, 33, 33)
    assert all(map(torch.equal, grown.encode(image), model.encode(image)))
    rolled(grown, LossConfig()).total.backward()
    assert all(block.mlp.fc2.weight.grad.any() for block in grown.encoder.levels[2].blocks)


def test_every_weight_learns():
    model = initialise(build_vmos(TINY))
    rolled(model, LossConfig()).total.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_truth_or_prediction_enters_memory():
    """With four frames the third and fourth depend on what was remembered of the second."""
    model = tiny_vmos()
    losses = [rolled(model, LossConfig(truth=truth), frames=4).total for truth in (1.0, 0.0)]
    assert losses[0] != losses[1]


def test_the_transport_loss_is_an_addend():
    model = tiny_vmos()
    alone = rolled(model, LossConfig(transport=0.0))
    assert set(alone.parts) == {"segmentation", "J"}
    assert torch.equal(alone.total, alone.parts["segmentation"])
    both = rolled(model, LossConfig(transport=0.5))
    expected = both.parts["segmentation"] + 0.5 * both.parts["transport"]
    assert torch.allclose(both.total, expected)
    assert torch.equal(both.parts["segmentation"], alone.parts["segmentation"])
    assert both.parts["transport"] > 0


@pytest.mark.parametrize(
    ("config", "frames_read"),
    [
        (LossConfig(), [1, 2, 3, 4]),
        (LossConfig(memory_gap=2), [1, 1, 2, 2]),
        (LossConfig(reference_only=1.0), [1, 1, 1, 1]),
    ],
)
def test_which_frames_long_term_memory_holds(monkeypatch, config, frames_read):
    model = tiny_vmos()
    propagate, read = model.propagate, []

    def noted(features, long_term, short_term):
        read.append(long_term[0].key.shape[1] // short_term[0].key.shape[1])
        return propagate(features, long_term, short_term)

    monkeypatch.setattr(model, "propagate", noted)
    rolled(model, config, frames=5)
    assert read == frames_read


def test_checkpointing_changes_no_gradient():
    gradients = []
    for checkpointing in (False, True):
        model = tiny_vmos()
        rolled(model, LossConfig(), frames=4, checkpointing=checkpointing).total.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_clip_is_learned_by_heart():
    sequence = synthetic.generate(5, frames=3, size=(49, 49), objects=2)
    unchanged = torch.eye(3, 4)[None]
    masks = torch.from_numpy(sequence.masks.astype(np.uint8))
    clip = RawClip(
        torch.from_numpy(sequence.images)[None], masks[None], unchanged, torch.zeros(1) > 0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = initialise(build_vmos(TINY))
    task = VMOSTask(model, LossConfig(hardest=1.0, transport=0.0), LIGHT_SEGMENTER)
    settings = Settings(
        140, batch=1, learning_rate=2e-2, last_learning_rate=5e-3, warm_up=10, weight_decay=0.0
    )
    learner = Trainer(task, settings, CPU)
    scores = [learner.advance(clip).parts["J"].item() for _ in range(settings.steps)]
    assert scores[0] < 0.5
    assert min(scores[-5:]) > 0.95


def test_the_encoder_starts_from_imagenet_weights():
    """The names are those of the official InternImage-T; its last level is wider than ours."""
    weights = stand_in(seed=0)
    model = build_vmos(VMOSConfig())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = take_encoder(model, weights)
    assert len(found.taken) + len(found.misshapen) == len(model.encoder.state_dict()) - len(
        found.missing
    )
    assert [name for name in found.missing if "projector" not in name] == []
    assert all(name.startswith("levels.3.") for name in found.misshapen)
    # 32 groups either way: the biases of offsets and masks fit
    fitting = [name for name in found.taken if name.startswith("levels.3.")]
    assert len(fitting) == 8
    assert all(name.endswith((".dcn.offset.bias", ".dcn.mask.bias")) for name in fitting)
    assert {name.split(".")[0] for name in found.unused} == {"levels", "conv_head", "head"}
    state = model.state_dict()
    named = {
        "encoder.stem.norm1.weight": "patch_embed.norm1.1.weight",
        "encoder.levels.1.blocks.2.dcn.depthwise.weight": "levels.1.blocks.2.dcn.dw_conv.0.weight",
        "encoder.levels.2.blocks.17.mlp.fc2.bias": "levels.2.blocks.17.mlp.fc2.bias",
        "encoder.levels.0.downsample.conv.weight": "levels.0.downsample.conv.weight",
    }
    for ours, official in named.items():
        assert torch.equal(state[ours], weights[official])
    kept = "encoder.levels.3.blocks.0.mlp.fc1.weight"
    assert torch.equal(state[kept], before[kept])
    assert str(found).startswith(f"encoder: {len(found.taken)} tensors taken; ")


def test_an_encoder_of_something_else_is_refused():
    with pytest.raises(InputError, match=r"none of its 1 tensors \(layer1.weight\) fits"):
        take_encoder(tiny_vmos(), {"layer1.weight": torch.zeros(3)})


def test_a_sample_picture_shows_truth_over_prediction():
    task = VMOSTask(tiny_vmos(), LossConfig(), LIGHT_SEGMENTER)
    picture = task.sample(tiny_vmos(), raw())
    assert picture.shape == (2 * 49, 3 * 49, 3)
    assert np.array_equal(picture[:49, :49], picture[49:, :49])
    assert not np.array_equal(picture[:49], picture[49:])


def test_evaluation_tracks_held_out_videos(tmp_path):
    sequence = synthetic.generate(3, frames=4, size=(64, 64), objects=2)
    write_sequence(tmp_path / "one", *sequence)
    videos = read_sequences(tmp_path).videos
    scores = VMOSTask(tiny_vmos(), LossConfig(), LIGHT_SEGMENTER, videos).evaluate(tiny_vmos())
    assert set(scores) == {"held_out_J", "held_out/one"}
    assert 0 <= scores["held_out_J"] == scores["held_out/one"] < 1
    assert VMOSTask(tiny_vmos(), LossConfig(), LIGHT_SEGMENTER).evaluate(tiny_vmos()) == {}


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
    ("text", "message"),
    [(None, "No such file"), ("{", "Expecting"), ('{"depth": 3}', "depth"), ("[]", "items")],
)
def test_a_configuration_that_cannot_be_read(tmp_path, text, message):
    file = tmp_path / "own.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(str(file))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--size 96", "--size 96: give a multiple of 8 plus 1"),
        ("--frames 1", "--frames 1: give 2 or more"),
        ("--save-every 0", "--save-every 0: give 1 or more"),
        ("--held-out mine", "--held-out mine: no dataset has a video of that name"),
        ("--start a --encoder b", "give either --start or --encoder"),
        ("--start missing.pt", "there is no checkpoint missing.pt"),
        ("--device cuda:99", "there is no device 'cuda:99'"),
    ],
)
def test_options_that_make_no_training(run, capsys, flags, message):
    assert main([*run[1], *flags.split()]) == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of the light network without a step, and options that fit it."""
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    task = VMOSTask(build_vmos(LIGHT_VMOS), LossConfig(), LIGHT_SEGMENTER)
    folder = RunFolder(tmp_path / "run")
    folder.open(0)
    folder.save(Trainer(task, Settings(1), CPU).state())
    folder.close()
    share = ["--video", "0", "--generated", "1", "--steps", "1"]
    return folder.folder, ["--run", str(folder.folder), *share]


def test_a_run_of_another_configuration_is_refused(run, tmp_path, capsys):
    config = tmp_path / "own.json"
    config.write_text(json.dumps({"widths": [16, 32, 64], "norm_groups": 8}))
    assert main([*run[1], "--config", str(config), "--size", "97"]) == 2
    error = capsys.readouterr().err
    assert "has stride 2, " in error
    assert "this run stride 4, " in error


def test_a_run_is_exported_and_started_from(run, tmp_path, capsys):
    folder, options = run
    file = tmp_path / "mine.safetensors"
    assert export.main([str(folder), str(file)]) == 0
    assert "2824332 parameters, 10.8 MiB, step 0" in capsys.readouterr().out
    other = ["--run", str(tmp_path / "other"), *options[2:], "--size", "49", "--batch", "1"]
    assert main([*other, "--start", str(file), "--dry-run", "1", "--workers", "0"]) == 0
    assert "2,824,332 learn" in capsys.readouterr().out
    assert not (tmp_path / "other").exists()
    for start in (file, folder / "checkpoint.pt"):
        assert main([*other, "--start", str(start), "--config", "full"]) == 2
        assert "not a checkpoint of this VMOS configuration" in capsys.readouterr().err


def test_an_export_of_what_is_no_run(tmp_path, capsys):
    assert export.main([str(tmp_path), str(tmp_path / "x.safetensors")]) == 2
    assert "there is no checkpoint" in capsys.readouterr().err
