import copy
import warnings

import pytest
import torch
from torch import Tensor

from hqsam import build_hqsam


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return build_hqsam("vit_tiny").state_dict()


def test_importing_and_building_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not build_hqsam("vit_tiny").training


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_arrive(weights: dict[str, Tensor], prefix: str) -> None:
    model = build_hqsam("vit_tiny", {prefix + key: value for key, value in weights.items()})
    assert not model.training
    loaded = model.state_dict()
    assert list(loaded) == list(weights)
    assert all(torch.equal(loaded[key], value) for key, value in weights.items())
    assert all(buffer.device.type == "cpu" for buffer in model.buffers())


def test_half_precision_weights_become_float32(weights: dict[str, Tensor]) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    model = build_hqsam("vit_tiny", half)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_unknown_variant() -> None:
    with pytest.raises(ValueError, match=r"'vit_x'.*choose one of vit_tiny, vit_b"):
        build_hqsam("vit_x")


def test_wrong_variant_is_recognised(weights: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"HQ-SAM vit_tiny, not vit_h.*build_hqsam\('vit_tiny'"):
        build_hqsam("vit_h", weights)


def test_missing_unknown_and_misshapen_keys_are_named(weights: dict[str, Tensor]) -> None:
    changed = copy.copy(weights)
    del changed["mask_decoder.hf_token.weight"]
    changed["classifier.weight"] = torch.zeros(1)
    changed["prompt_encoder.no_mask_embed.weight"] = torch.zeros(1, 3)
    with pytest.raises(ValueError, match="not those of HQ-SAM vit_tiny") as error:
        build_hqsam("vit_tiny", changed)
    message = str(error.value)
    assert "lack mask_decoder.hf_token.weight" in message
    assert "unknown keys classifier.weight" in message
    assert "no_mask_embed.weight [1, 3] instead of [1, 256]" in message
    assert "hqtrack weights download hqsam_vit_tiny" in message


def test_plain_sam_is_recognised(weights: dict[str, Tensor]) -> None:
    added = ("hf_", "compress_vit_feat", "embedding_encoder", "embedding_maskfeature")
    plain = {k: v for k, v in weights.items() if not k.split(".")[1].startswith(added)}
    with pytest.raises(ValueError, match="plain SAM"):
        build_hqsam("vit_tiny", plain)


def test_nested_checkpoint_is_refused(weights: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match="plain dict of tensors, but model are not tensors"):
        build_hqsam("vit_tiny", {"model": weights})  # type: ignore[dict-item]


@pytest.mark.parametrize("other", [[torch.zeros(1)], torch.zeros(1)], ids=["list", "tensor"])
def test_what_is_no_dict_is_refused(other: object) -> None:
    with pytest.raises(ValueError, match="plain dict of tensors, not a"):
        build_hqsam("vit_tiny", other)  # type: ignore[arg-type]


def test_empty_weights_name_some_keys() -> None:
    with pytest.raises(ValueError, match=r"lack image_encoder\..* and \d+ more"):
        build_hqsam("vit_b", {})
