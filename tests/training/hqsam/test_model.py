"""Which tensors of HQ-SAM learn, and what they start from."""

import json

import pytest
import torch
from safetensors.torch import save_file

from hqsam import build_hqsam
from hqsam.checkpoint import RELEASED_VARIANTS
from hqtrack.errors import InputError
from tests.helpers.hqsam_training import changed
from training.hqsam.model import AddedParts, added_tensors, load_start


@pytest.mark.parametrize("variant", RELEASED_VARIANTS)
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
