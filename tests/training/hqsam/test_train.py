"""HQ-SAM in training: what learns and what does not, resuming, the file that comes out."""

from dataclasses import replace

import pytest
import torch
from segment_anything.modeling.prompt_encoder import PromptEncoder

from hqsam import build_hqsam
from hqtrack import weights
from hqtrack.errors import InputError
from tests.helpers import layouts
from tests.helpers.hqsam_training import SIDE, changed, trainer
from tests.helpers.tiny_hqsam import tiny_hqsam
from training.engine.loop import resume, train
from training.engine.run_folder import RunFolder, read_checkpoint
from training.hqsam import train as hqsam
from training.hqsam.data import Objects, open_stills
from training.hqsam.model import added_tensors, load_start
from training.hqsam.train import main, write_checkpoint


def test_rate_falls_to_a_tenth_after_ten_of_twelve_epochs():
    run = trainer(steps=120)
    rates = []
    for step in (0, 99, 100, 119):
        run.scheduler.step_update(step)
        rates.append(run.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])


@pytest.fixture
def stills(tmp_path):
    return layouts.stills(tmp_path / "stills")


def test_a_resumed_run_ends_with_the_same_weights(tmp_path, stills):
    objects = Objects(open_stills([stills])[0].images, seed=0)
    whole_run, resumed = trainer(steps=3), trainer(steps=3)
    train(whole_run, objects, RunFolder(tmp_path / "whole"))
    stopped = trainer(steps=3, save_every=2)
    interrupted = RunFolder(tmp_path / "stopped")
    train(replace_steps(stopped, 2), objects, interrupted)
    assert resume(resumed, interrupted)
    assert resumed.step == 2
    train(resumed, objects, interrupted)
    wanted = whole_run.task.model.sam.state_dict()
    assert not changed(wanted, resumed.task.model.sam.state_dict())
    assert changed(wanted, stopped.task.model.sam.state_dict())


def replace_steps(run, steps):
    """The same run, stopped earlier."""
    run.settings = replace(run.settings, steps=steps)
    return run


@pytest.fixture(scope="module")
def official():
    torch.manual_seed(0)
    return build_hqsam("vit_tiny").state_dict()


def options(folder, stills, *more):
    return [
        *("--variant", "vit_tiny", "--run", str(folder / "run"), "--data", str(stills)),
        *("--weights", str(folder / "sam.pth"), "--device", "cpu", *more),
    ]


@pytest.fixture
def small_input(monkeypatch, tmp_path, official):
    """vit_tiny on images of 256 pixels: the same tensors, a sixteenth of the work."""
    torch.save(official, tmp_path / "sam.pth")

    def load(variant, path):
        sam = load_start(variant, path)
        small = PromptEncoder(256, (16, 16), (SIDE, SIDE), 16)
        small.load_state_dict(sam.prompt_encoder.state_dict())
        sam.prompt_encoder = small
        return sam

    monkeypatch.setattr(hqsam, "load_start", load)


def test_train_export_build(tmp_path, stills, small_input, official):
    train_one = options(tmp_path, stills, "--steps", "1", "--batch", "1", "--workers", "0")
    assert main(train_one) == 0
    file = tmp_path / "sam_hq_vit_tiny.pth"
    assert main(options(tmp_path, stills, "--export", str(file))) == 0
    exported = weights.load(file)
    build_hqsam("vit_tiny", exported)
    assert changed(official, exported) == set(added_tensors(official))
    average = read_checkpoint(tmp_path / "run" / "checkpoint.pt")["average"]
    assert all(torch.equal(exported[f"mask_decoder.{key}"], average[key]) for key in average)


def test_a_dry_run_writes_nothing(tmp_path, stills, small_input, capsys):
    tried = options(tmp_path, stills, "--dry-run", "1", "--batch", "2", "--workers", "0")
    assert main(tried) == 0
    assert not (tmp_path / "run").exists()
    told = capsys.readouterr().out
    assert "HQ-SAM vit_tiny: 10,578,604 parameters" in told
    assert "parameters: 448,512, of which 448,512 learn" in told


def test_evaluation_prints_one_table(tmp_path, stills, monkeypatch, capsys):
    monkeypatch.setattr(hqsam, "load_start", lambda variant, path: tiny_hqsam())
    before = ["--variant", "vit_tiny", "--weights", "sam.pth", "--data", str(stills)]
    assert main([*before, "--evaluate", "--most", "1", "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("SAM", "HQ token", "mIoU", "boundary mIoU"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--evaluate-every", "5"), "give --held-out"),
        (("--export", "file.pth"), "there is no checkpoint"),
    ],
)
def test_unusable_options(tmp_path, stills, small_input, capsys, more, message):
    assert main(options(tmp_path, stills, *more)) == 2
    assert message in capsys.readouterr().err


def test_an_empty_mask_is_found_by_the_dry_run(tmp_path, stills, small_input, capsys):
    path = sorted((stills / "masks").iterdir())[0]
    layouts.write_labels(path, torch.zeros(layouts.SIZE, dtype=torch.uint8).numpy())
    assert main(options(tmp_path, stills, "--dry-run", "1")) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_a_checkpoint_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        write_checkpoint(tiny_hqsam(), tmp_path / "nowhere" / "hq.pth")
