"""HQ-SAM in training: what learns and what does not, resuming, the file that comes out."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from segment_anything.modeling.prompt_encoder import PromptEncoder

from hqsam import VARIANTS, build_hqsam
from hqsam.encoder import EncodedImage
from hqtrack import weights
from hqtrack.errors import InputError
from tests.helpers import layouts
from tests.helpers.tiny_hqsam import tiny_hqsam
from training.engine.loop import resume, train
from training.engine.processes import World
from training.engine.run_folder import RunFolder, read_checkpoint
from training.engine.trainer import Trainer
from training.hqsam import train as hqsam
from training.hqsam.data import Examples, Objects, open_stills
from training.hqsam.model import AddedParts, added_tensors, load_start
from training.hqsam.task import HQSamTask, box_outputs, mean_iou
from training.hqsam.train import PUBLISHED, drop_late, main, write_checkpoint
from training.hqsam.views import Jitter, Kind, Prompt, whole

SIDE = 256
ALONE = World(torch.device("cpu"))
STILL = Jitter(low=1, high=1, mirrored=0)


def picture(number):
    """Noise with a brighter square, and where that is."""
    image = torch.randint(90, (3, 96, 128), generator=torch.Generator().manual_seed(number))
    matte = torch.zeros(96, 128, dtype=torch.uint8)
    matte[10 + 20 * number :, 20 + 30 * number :][:40, :40] = 255
    return (image + 120 * (matte > 0)).to(torch.uint8), matte


PICTURES = [picture(number) for number in range(2)]


def batch():
    images, mattes = map(torch.stack, zip(*PICTURES, strict=True))
    return Examples(images, mattes, torch.tensor([[96, 128]] * 2))


def trainer(steps=2, sam=None, **changes):
    """Always the same weights to start from."""
    task = HQSamTask("vit_tiny", sam or tiny_hqsam(side=SIDE), jitter=STILL)
    settings = replace(PUBLISHED, steps=steps, batch=2, workers=0, **changes)
    return Trainer(task, settings, ALONE, drop_late)


@pytest.mark.parametrize("variant", VARIANTS)
def test_exactly_the_added_tensors_learn(variant, shared):
    with torch.device("meta"):
        model = AddedParts(build_hqsam(variant))
    official = json.loads((shared / f"parity/hqsam/added_{variant}.json").read_text())
    learning = {
        key: list(value.shape) for key, value in model.sam.named_parameters() if value.requires_grad
    }
    assert len(learning) == 25
    assert learning == dict(official)
    assert {f"mask_decoder.{key}" for key in model.state_dict()} == set(learning)


def changed(before, after):
    return {key for key, value in after.items() if not torch.equal(value, before[key])}


def test_a_step_changes_the_added_tensors_and_nothing_else():
    run = trainer()
    sam = run.task.model.sam
    before = {key: value.clone() for key, value in sam.state_dict().items()}
    run.advance(batch())
    assert changed(before, sam.state_dict()) == set(added_tensors(before))


def test_vit_tiny_takes_a_step_and_keeps_its_batch_norms():
    sam = build_hqsam("vit_tiny")
    sam.prompt_encoder = PromptEncoder(256, (16, 16), (SIDE, SIDE), 16)
    before = {key: value.clone() for key, value in sam.state_dict().items()}
    run = trainer(sam=sam)
    run.task.model.train()
    run.advance(batch())
    assert len(changed(before, sam.state_dict())) == 25


def test_the_average_shares_sam_and_has_tensors_of_its_own():
    run = trainer(average=0.9)
    model, average = run.task.model, run.average.module
    for _ in range(3):
        run.advance(batch())
    pairs = zip(model.sam.named_parameters(), average.sam.named_parameters(), strict=True)
    own = {key for (key, one), (_, other) in pairs if one is not other}
    assert own == set(added_tensors(model.sam.state_dict()))
    assert average.hf_token is average.sam.mask_decoder.hf_token
    assert not torch.equal(average.hf_token.weight, model.hf_token.weight)


def test_a_batch_of_all_prompts_equals_its_samples_one_by_one():
    model = AddedParts(tiny_hqsam(side=SIDE))
    pixels = torch.stack([whole(*PICTURES[n % 2], SIDE).pixels for n in range(4)])
    mask = torch.zeros(1, SIDE // 4, SIDE // 4)
    mask[:, 10:30, 20:40] = 255
    prompts = [
        Prompt(Kind.MASK, mask),
        Prompt(Kind.BOX, torch.tensor([20.0, 30, 90, 110])),
        Prompt(Kind.POINTS, torch.arange(20.0).view(10, 2)),
        Prompt(Kind.BOX, torch.tensor([50.0, 30, 90, 200])),
    ]
    together = model(model.encode(pixels), prompts)
    assert together.shape == (4, 1, SIDE // 4, SIDE // 4)
    for n, prompt in enumerate(prompts):
        alone = model(model.encode(pixels[n : n + 1]), [prompt])
        torch.testing.assert_close(together[n : n + 1], alone, atol=1e-4, rtol=1e-4)


def test_only_the_image_encoder_runs_in_bfloat16():
    model = AddedParts(tiny_hqsam(side=SIDE))
    prompts = [Prompt(Kind.BOX, torch.tensor([20.0, 30, 90, 110]))]
    with torch.autocast("cpu", torch.bfloat16):
        encoded = model.encode(whole(*PICTURES[0], SIDE).pixels[None])
        logits = model(encoded, prompts)
    assert encoded.features.dtype == torch.bfloat16
    exact = model(EncodedImage(encoded.features.float(), encoded.early.float()), prompts)
    assert torch.equal(logits, exact)
    trainer(bf16=True).advance(batch())


def test_half_batches_give_the_gradient_of_the_whole():
    """What several processes rely on: generators go with the samples, the loss is their mean."""
    run = trainer()
    generators = run.generators(2)
    states = [generator.get_state() for generator in generators.samples]
    run.task.loss(batch(), generators).total.backward()
    wanted = [parameter.grad for parameter in run.task.model.parameters()]
    run.task.model.zero_grad()
    for n in range(2):
        generators.samples[n].set_state(states[n])
        part = Examples(*(tensor[n : n + 1] for tensor in batch()))
        share = generators._replace(samples=generators.samples[n : n + 1])
        (run.task.loss(part, share).total / 2).backward()
    for gradient, parameter in zip(wanted, run.task.model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-3)


def test_overfitting_lifts_the_hq_mask_far_above_frozen_sam():
    run = trainer(steps=40, learning_rate=3e-3)
    for _ in range(40):
        run.advance(batch())
    for image, matte in PICTURES:
        view = whole(image, matte, SIDE)
        outputs = box_outputs(run.average.module, view)
        sam, hq, both = (mean_iou(logits, view.target[None]).item() for logits in outputs)
        assert sam < 0.3
        assert min(hq, both) > 0.6


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


def test_plain_sam_gets_new_tensors(tmp_path, official):
    plain = {key: value for key, value in official.items() if key not in added_tensors(official)}
    torch.save(plain, tmp_path / "mobile_sam.pt")
    torch.manual_seed(3)
    sam = load_start("vit_tiny", tmp_path / "mobile_sam.pt").state_dict()
    assert changed(official, sam) <= set(added_tensors(official))
    assert sam["mask_decoder.hf_token.weight"].std() == pytest.approx(1, abs=0.2)


def test_hq_sam_goes_on_from_its_tensors(tmp_path, official):
    save_file(official, tmp_path / "hq.safetensors")
    assert not changed(official, load_start("vit_tiny", tmp_path / "hq.safetensors").state_dict())


def test_weights_of_another_variant(tmp_path, official):
    torch.save(official, tmp_path / "hq.pth")
    with pytest.raises(InputError, match=r"hq\.pth: these are the weights of HQ-SAM vit_tiny"):
        load_start("vit_b", tmp_path / "hq.pth")


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
