"""HQ-SAM against arrays recorded from the official code with seeded weights."""

import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from hqsam import HQSam, ImageEmbedding, build_hqsam
from hqsam.decoder import HQMaskDecoder, HQPromptEncoder
from hqsam.encoder import EncodedImage
from hqsam.sam import resize_longest_side
from hqtrack.refiner import MaskRefiner

Arrays = dict[str, np.ndarray[Any, Any]]

DECODER_LOGITS = 1e-3
DECODER_IOU = 1e-4
FEATURES = 1e-3
PREDICTOR_LOGITS = 2e-2
PREDICTOR_IOU = 1e-4
MODES = [(multimask, hq) for multimask in (False, True) for hq in (False, True)]


class Golden(NamedTuple):
    """The recordings and the rule that makes their weights."""

    folder: Path
    seeded: Any

    def arrays(self, name: str) -> Arrays:
        with np.load(self.folder / f"{name}.npz") as file:
            return dict(file)

    def weights(self, variant: str, seed: int, prefix: str = "") -> dict[str, Tensor]:
        tensors = json.loads((self.folder / f"sam_hq_{variant}.json").read_text())["tensors"]
        chosen = [entry for entry in tensors if entry[0].startswith(prefix)]
        arrays = self.seeded.seeded_state_dict(chosen, seed)
        return {key: torch.from_numpy(value) for key, value in arrays.items()}


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    folder = shared / "parity" / "hqsam"
    spec = importlib.util.spec_from_file_location("hqsam_seeded", folder / "seeded.py")
    assert spec is not None
    assert spec.loader is not None
    seeded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    return Golden(folder, seeded)


def assert_close(actual: Tensor, expected: np.ndarray[Any, Any], atol: float) -> None:
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=atol)


def bits(logits: Tensor) -> np.ndarray[Any, Any]:
    return np.asarray(logits.numpy() > 0).ravel()


def unpack(packed: np.ndarray[Any, Any], count: int) -> np.ndarray[Any, Any]:
    return np.unpackbits(packed)[:count].astype(bool)


class Decoder(NamedTuple):
    """Prompt encoder and decoder alone, on recorded features."""

    arrays: Arrays
    prompts: HQPromptEncoder
    decoder: HQMaskDecoder
    encoded: EncodedImage
    hq_features: Tensor

    def inputs(self, **prompts: Any) -> tuple[Tensor, ...]:
        given = dict.fromkeys(("points", "boxes", "masks")) | prompts
        sparse, dense = self.prompts(**given)
        return (
            self.encoded.features,
            self.hq_features,
            self.prompts.get_dense_pe(),
            sparse,
            dense,
        )

    def box_inputs(self) -> tuple[Tensor, ...]:
        return self.inputs(boxes=torch.from_numpy(self.arrays["boxes_1024"]))


@pytest.fixture(scope="module", params=["vit_tiny", "vit_b", "vit_h"])
def decoder(request: pytest.FixtureRequest, golden: Golden) -> Iterator[Decoder]:
    variant = request.param
    arrays = golden.arrays(f"decoder_{variant}")
    prompts, mask_decoder = HQPromptEncoder(), HQMaskDecoder(int(arrays["vit_dim"]))
    for prefix, module in (("prompt_encoder.", prompts), ("mask_decoder.", mask_decoder)):
        weights = golden.weights(variant, int(arrays["weight_seed"]), prefix)
        module.load_state_dict({key.removeprefix(prefix): w for key, w in weights.items()})
    seed = int(arrays["input_seed"])
    features, early = (
        torch.from_numpy(golden.seeded.unit_uniform(f"{variant}/{name}", shape, seed))
        for name, shape in (
            ("image_embeddings", (1, 256, 64, 64)),
            ("interm_embeddings", (1, 64, 64, int(arrays["vit_dim"]))),
        )
    )
    encoded = EncodedImage(features, 3 * early)
    with torch.inference_mode():
        yield Decoder(arrays, prompts, mask_decoder, encoded, mask_decoder.hq_features(encoded))


def test_decoder_inputs_are_the_recorded_ones(decoder: Decoder) -> None:
    assert_close(decoder.encoded.features[0, :, 5, 7], decoder.arrays["embeddings_probe"], 0)
    assert_close(decoder.encoded.early[0, 5, 7], decoder.arrays["interm_probe"], 0)


def test_prompts_and_hq_features(decoder: Decoder) -> None:
    _, hq_features, positions, sparse, dense = decoder.box_inputs()
    assert_close(sparse, decoder.arrays["sparse_embeddings"], 1e-4)
    assert_close(dense[:, :, ::16, ::16], decoder.arrays["dense_embeddings_sub"], 1e-6)
    assert_close(positions[:, :, ::8, ::8], decoder.arrays["dense_pe_sub"], 1e-4)
    assert_close(hq_features[:, :, ::16, ::16], decoder.arrays["hq_features_sub"], 1e-4)


def test_all_masks_of_the_decoder(decoder: Decoder) -> None:
    masks = decoder.decoder.predict_masks(*decoder.box_inputs())
    raw = torch.cat([masks.sam, masks.hq], dim=1)
    assert_close(raw[:, :, ::8, ::8], decoder.arrays["raw5_sub"], DECODER_LOGITS)
    assert_close(masks.scores, decoder.arrays["raw_iou4"], DECODER_IOU)


@pytest.mark.parametrize(("multimask", "hq"), MODES)
def test_decoder_modes(decoder: Decoder, multimask: bool, hq: bool) -> None:
    logits, scores = decoder.decoder(*decoder.box_inputs(), multimask=multimask, hq_token_only=hq)
    name = f"mm{multimask:d}_hq{hq:d}"
    assert_close(logits[:, :, ::2, ::2], decoder.arrays[f"{name}_masks_sub"], DECODER_LOGITS)
    assert_close(scores, decoder.arrays[f"{name}_iou"], DECODER_IOU)
    unsure = logits.abs().numpy().ravel() < DECODER_LOGITS
    recorded = unpack(decoder.arrays[f"{name}_bits"], logits.numel())
    assert (bits(logits) == recorded)[~unsure].all()
    stats = [logits.mean(), logits.std(correction=0), logits.abs().max()]
    np.testing.assert_allclose(stats, decoder.arrays[f"{name}_stats"], atol=DECODER_LOGITS)


def test_points_with_a_mask(decoder: Decoder) -> None:
    masks = decoder.decoder.predict_masks(*decoder.box_inputs())
    points = torch.from_numpy(decoder.arrays["ptmask_points"])[None]
    labels = torch.from_numpy(decoder.arrays["ptmask_labels"])[None]
    inputs = decoder.inputs(points=(points, labels), masks=masks.sam[:1, :1])
    logits, scores = decoder.decoder(*inputs, multimask=True, hq_token_only=False)
    assert_close(logits[:, :, ::2, ::2], decoder.arrays["ptmask_masks_sub"], DECODER_LOGITS)
    assert_close(scores, decoder.arrays["ptmask_iou"], DECODER_IOU)


class Predictor(NamedTuple):
    """A whole model on the recorded image."""

    arrays: Arrays
    model: HQSam
    encoded: EncodedImage
    embedding: ImageEmbedding


def run_predictor(golden: Golden, variant: str) -> Predictor:
    arrays = golden.arrays(f"predictor_{variant}")
    model = build_hqsam(variant, golden.weights(variant, int(arrays["weight_seed"])))
    outputs: list[EncodedImage] = []
    hook = model.image_encoder.register_forward_hook(lambda m, i, output: outputs.append(output))
    embedding = model.embed(torch.from_numpy(arrays["image"]))
    hook.remove()
    (encoded,) = outputs
    return Predictor(arrays, model, encoded, embedding)


@pytest.fixture(scope="module")
def predictors(golden: Golden) -> Callable[[str], Predictor]:
    """Each variant once, in whatever order pytest puts the tests."""
    return cache(partial(run_predictor, golden))


@pytest.fixture(params=["vit_tiny", pytest.param("vit_b", marks=pytest.mark.slow)])
def predictor(request: pytest.FixtureRequest, predictors: Callable[[str], Predictor]) -> Predictor:
    return predictors(request.param)


def test_resized_image(golden: Golden) -> None:
    arrays = golden.arrays("predictor_vit_tiny")
    resized = resize_longest_side(torch.from_numpy(arrays["image"])).numpy()
    assert resized.shape[:2] == tuple(arrays["input_size"])
    assert hashlib.sha256(resized.tobytes()).hexdigest() == str(arrays["resized_sha256"])


def test_image_features(predictor: Predictor) -> None:
    features, early = predictor.encoded
    assert predictor.embedding.input_size == tuple(predictor.arrays["input_size"])
    assert_close(features[0, :, ::8, ::8], predictor.arrays["features_sub"], FEATURES)
    assert_close(early[0, ::8, ::8], predictor.arrays["interm0_sub"], FEATURES)
    for values, name in ((features, "features_stats"), (early, "interm0_stats")):
        stats = [values.mean(), values.std(correction=0), values.abs().max()]
        np.testing.assert_allclose(stats, predictor.arrays[name], atol=FEATURES)


def check_prediction(predictor: Predictor, name: str, step: int, **arguments: Any) -> None:
    arrays = predictor.arrays
    logits, scores = predictor.model.predict(predictor.embedding, **arguments)
    low = arrays[f"{name}_low_sub"]
    assert_close(logits[..., ::step, ::step].view(low.shape), low, PREDICTOR_LOGITS)
    assert_close(scores.flatten(), arrays[f"{name}_iou"].ravel(), PREDICTOR_IOU)
    masks = bits(predictor.model.to_image(logits, predictor.embedding))
    recorded = unpack(arrays[f"{name}_bits"], int(np.prod(arrays[f"{name}_shape"])))
    near = arrays.get(f"{name}_near0", arrays["box_mm1_hq0_near0"])[1] * len(logits)
    assert np.count_nonzero(masks != recorded) <= near


@pytest.mark.parametrize(("multimask", "hq"), MODES)
def test_one_box(predictor: Predictor, multimask: bool, hq: bool) -> None:
    check_prediction(
        predictor,
        f"box_mm{multimask:d}_hq{hq:d}",
        2,
        boxes=torch.from_numpy(predictor.arrays["boxes"][:1]),
        multimask=multimask,
        hq_token_only=hq,
    )


def test_three_boxes_at_once(predictor: Predictor) -> None:
    boxes = torch.from_numpy(predictor.arrays["boxes"])
    check_prediction(predictor, "batch3_mm1_hq0", 4, boxes=boxes)


def test_one_point(predictor: Predictor) -> None:
    point = torch.from_numpy(predictor.arrays["point"]).view(1, 1, 2)
    check_prediction(predictor, "point_mm1_hq0", 4, points=point, labels=torch.ones(1, 1))


@pytest.mark.parametrize("predictor", ["vit_tiny"], indirect=True)
def test_the_refiner_asks_as_published(predictor: Predictor) -> None:
    """Filled rectangles have the recorded boxes, and get the masks recorded for these."""
    arrays = predictor.arrays
    masks = np.zeros((3, *arrays["image"].shape[:2]), np.bool_)
    for mask, (left, top, right, bottom) in zip(masks, arrays["boxes"].astype(int), strict=True):
        mask[top : bottom + 1, left : right + 1] = True
    candidates = MaskRefiner(predictor.model).refine(arrays["image"], masks)
    recorded = unpack(arrays["batch3_mm1_hq0_bits"], masks.size)
    near = arrays["box_mm1_hq0_near0"][1] * 3
    assert np.count_nonzero(candidates.masks.ravel() != recorded) <= near
    scores = arrays["batch3_mm1_hq0_iou"]
    np.testing.assert_allclose(candidates.scores, scores, rtol=0, atol=PREDICTOR_IOU)


def test_loaded_attention_biases_count(golden: Golden) -> None:
    """Loading into a model that was used before must not leave its old biases in force."""
    stale = golden.arrays("predictor_stale_ab_vit_tiny")
    right = golden.arrays("predictor_vit_tiny")["features_sub"]
    model = build_hqsam("vit_tiny")
    image = torch.from_numpy(stale["image"])
    model.embed(image)
    model.load_state_dict(golden.weights("vit_tiny", int(stale["weight_seed"])))
    features = model.embed(image).features[0, :, ::8, ::8].numpy()
    np.testing.assert_allclose(features, right, rtol=0, atol=FEATURES)
    assert np.abs(features - stale["features_sub"]).max() > 0.1
