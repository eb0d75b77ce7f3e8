"""HQ-SAM as a task: what a step changes, and that it learns."""

import torch
from segment_anything.modeling.prompt_encoder import PromptEncoder

from hqsam import build_hqsam
from hqsam.encoder import EncodedImage
from tests.helpers.hqsam_training import PICTURES, SIDE, batch, changed, trainer
from tests.helpers.tiny_hqsam import tiny_hqsam
from training.hqsam.data import Examples
from training.hqsam.model import AddedParts, added_tensors
from training.hqsam.task import box_outputs, mean_iou
from training.hqsam.views import Kind, Prompt, whole


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
