"""What a training of a VMOS starts from."""

from dataclasses import replace

import pytest
import torch

from hqtrack.errors import InputError
from tests.helpers.imagenet import stand_in
from tests.helpers.tiny_clips import rolled
from tests.helpers.tiny_vmos import TINY, tiny_vmos
from training.vmos.rollout import LossConfig
from training.vmos.start import deepen, initialise, take_encoder
from vmos import VMOSConfig, build_vmos


def test_initialised_deformable_convolutions_are_plain_means():
    model = initialise(build_vmos(TINY))
    changed = [name for name, p in model.named_parameters() if p.ndim > 1 and not p.any()]
    assert len(changed) == 2 * sum(TINY.encoder.depths)
    assert all(".dcn.offset." in name or ".dcn.mask." in name for name in changed)


def test_blocks_that_deepen_an_encoder_change_nothing_at_first():
    model = tiny_vmos()
    depths = tuple(depth + 1 + level for level, depth in enumerate(TINY.encoder.depths))
    deeper = replace(TINY, encoder=replace(TINY.encoder, depths=depths))
    grown = build_vmos(deeper, deepen(deeper, model.state_dict()))
    image = torch.rand(1, 3, 33, 33)
    assert all(map(torch.equal, grown.encode(image), model.encode(image)))
    rolled(grown, LossConfig()).total.backward()
    assert all(block.mlp.fc2.weight.grad.any() for block in grown.encoder.levels[2].blocks)


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
