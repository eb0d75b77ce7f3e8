"""The fast paths against the plain one; without a GPU as far as a CPU can show it."""

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hqsam import HQSam
from hqsam.light import LightEncoder
from hqtrack.build import assemble
from hqtrack.compute.acceleration import (
    PLAIN,
    Acceleration,
    accelerate,
    choose_acceleration,
    precision,
    replay,
)
from hqtrack.compute.graphs import Replayed
from hqtrack.compute.transfer import to_host
from hqtrack.compute.trial import relative_error
from hqtrack.light import LIGHT_SEGMENTER
from hqtrack.masks import labels_to_masks
from hqtrack.preprocess import normalise, normalise_on_device
from hqtrack.refiner import MaskRefiner
from hqtrack.types import Image, Masks
from hqtrack.video import open_sequence, read_frames
from hqtrack.vot import process as vot
from tests.helpers.tiny_hqsam import TinyEncoder, tiny_hqsam
from tests.helpers.tiny_vmos import tiny_vmos
from vmos import VMOS, dcnv3, ops

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
HALF = Acceleration(torch.bfloat16)


@pytest.fixture(scope="module")
def images() -> list[Image]:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    return [np.roll(image, 2 * shift, axis=1) for shift in range(3)]


@pytest.fixture(scope="module")
def masks() -> Masks:
    masks = np.zeros((2, 48, 64), np.bool_)
    masks[0, 5:20, 10:30] = masks[1, 25:40, 30:60] = True
    return masks


def test_a_gpu_gets_everything_unless_results_shall_be_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    fast = Acceleration(torch.bfloat16, kernels=True, ahead=True, graphs=True)
    monkeypatch.delenv("HQTRACK_GRAPHS", raising=False)
    assert choose_acceleration(CUDA) == fast
    monkeypatch.setenv("HQTRACK_GRAPHS", "0")
    assert choose_acceleration(CUDA) == replace(fast, graphs=False)
    assert choose_acceleration(CUDA, exact=True) == PLAIN
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose_acceleration(CUDA) == PLAIN


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16", None])
def test_a_cpu_computes_in_bfloat16_where_it_has_instructions_for_it(
    monkeypatch: pytest.MonkeyPatch, instructions: str | None
) -> None:
    has = {"avx512_f": True, "amx_bf16": False} | ({instructions: True} if instructions else {})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert choose_acceleration(CPU) == (HALF if instructions else PLAIN)
    assert choose_acceleration(CPU, exact=True) == PLAIN


@pytest.mark.parametrize(
    ("value", "exact"), [(None, False), ("0", False), ("", False), ("1", True)]
)
def test_the_environment_asks_for_exact_results(
    monkeypatch: pytest.MonkeyPatch, value: str | None, exact: bool
) -> None:
    asked = []
    monkeypatch.setattr(
        "hqtrack.build.build_named", lambda name, device, exact: asked.append(exact)
    )
    monkeypatch.setattr("hqtrack.compute.threads.limit_threads", lambda: None)
    monkeypatch.delenv("HQTRACK_EXACT", raising=False)
    if value is not None:
        monkeypatch.setenv("HQTRACK_EXACT", value)
    vot.load("HQTrackLight")
    assert asked == [exact]


@torch.inference_mode()
def test_weights_in_16_bits_change_nothing_under_autocast() -> None:
    plain = tiny_vmos()
    stored = copy.deepcopy(plain)
    accelerate(HALF, stored)
    assert stored.encoder.stem.conv1.weight.dtype == torch.bfloat16
    assert stored.encoder.stem.norm1.weight.dtype == torch.float32
    image, labels = torch.randn(1, 3, 33, 41), torch.randint(0, 4, (1, 33, 41))
    logits = []
    for model in (plain, stored):
        with precision(CPU, torch.bfloat16):
            features = model.encode(image)
            memory = model.reference(features, labels)
            logits.append(model.propagate(model.encode(image), memory, memory).logits)
    assert torch.equal(*logits)
    assert logits[0].dtype == torch.float32


def test_kernels_are_put_in_and_tried() -> None:
    kernels = pytest.importorskip("vmos.kernels")
    model = tiny_vmos()
    fast = Acceleration(kernels=True, graphs=True)
    assert accelerate(fast, model, tiny_hqsam()) == fast
    assert isinstance(model.encoder.forward, Replayed)
    assert isinstance(model.propagate, Replayed)
    samplers = {block.sample for block in model.modules() if isinstance(block, dcnv3.DCNv3)}
    assert samplers == {kernels.deformable_sample}


def test_what_changes_its_shape_from_frame_to_frame_is_not_recorded() -> None:
    vmos, refiner, light = tiny_vmos(), tiny_hqsam(), tiny_hqsam()
    light.image_encoder = LightEncoder()
    replay(vmos, refiner)
    replay(vmos, light)
    assert isinstance(refiner.image_encoder.forward, Replayed)
    assert not isinstance(light.image_encoder.forward, Replayed)


def fail(*inputs: object) -> torch.Tensor:
    raise RuntimeError("no\ncompiler " + "x" * 300)


def wrong(*inputs: torch.Tensor) -> torch.Tensor:
    return 1.5 * dcnv3.deformable_sample(*inputs)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (fail, "no Triton kernel for deformable_sample, slower: no compiler xxx"),
        (wrong, "slower: its result differs by 50.0% from that of the plain function"),
    ],
)
def test_a_kernel_that_does_not_work_is_the_only_one_that_is_not_used(
    broken: Callable[..., torch.Tensor],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    kernels = pytest.importorskip("vmos.kernels")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setitem(kernels.FUSED, "deformable_sample", broken)
    model = tiny_vmos()
    fast = Acceleration(kernels=True, graphs=True)
    assert accelerate(fast, model, tiny_hqsam()) == replace(fast, graphs=False)
    line = capsys.readouterr().err
    assert said in line
    assert len(line.splitlines()) == 1
    in_full = Path(line.split("in full: ")[1].strip(")\n")).read_text()
    assert f"in {broken.__name__}" in in_full or broken is wrong
    assert ("x" * 300 in in_full) == (broken is fail)
    samplers = {block.sample for block in model.modules() if isinstance(block, dcnv3.DCNv3)}
    assert samplers == {dcnv3.deformable_sample}
    assert model.propagation.fine_layer.long_term.carry is kernels.global_attention
    model.encode(torch.randn(1, 3, 33, 41))


def test_without_any_kernel_the_plain_path_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kernels = pytest.importorskip("vmos.kernels")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in kernels.FUSED:
        monkeypatch.setitem(kernels.FUSED, name, fail)
    assert accelerate(Acceleration(kernels=True, graphs=True), tiny_vmos(), tiny_hqsam()) == PLAIN
    assert all(name in capsys.readouterr().err for name in ["deformable_sample"])


def test_an_image_encoded_ahead_gives_the_same(images: list[Image], masks: Masks) -> None:
    model = tiny_hqsam()
    assert isinstance(model.image_encoder, TinyEncoder)
    expected = MaskRefiner(model).refine(images[0], masks)
    refiner = MaskRefiner(model)
    model.image_encoder.calls = 0
    refiner.begin(images[0])
    candidates = refiner.refine(images[0], masks)
    assert model.image_encoder.calls == 1
    for ours, theirs in zip(candidates, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_another_image_than_the_one_begun_is_encoded(images: list[Image], masks: Masks) -> None:
    expected = MaskRefiner(tiny_hqsam()).refine(images[1], masks)
    refiner = MaskRefiner(tiny_hqsam())
    refiner.begin(images[0])
    np.testing.assert_array_equal(refiner.refine(images[1], masks).scores, expected.scores)


def test_what_goes_wrong_ahead_is_raised_when_it_is_asked_for(
    images: list[Image], masks: Masks, monkeypatch: pytest.MonkeyPatch
) -> None:
    refiner = MaskRefiner(tiny_hqsam())
    monkeypatch.setattr(TinyEncoder, "forward", lambda self, x: 1 / 0)
    refiner.begin(images[0])
    with pytest.raises(ZeroDivisionError):
        refiner.refine(images[0], masks)


def test_a_tracker_ahead_encodes_beside_and_finds_the_same(
    images: list[Image], masks: Masks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoding begins before VMOS: it is not waited for until it is needed."""
    begun = threading.Event()
    forward = TinyEncoder.forward

    def signal(self: TinyEncoder, x: torch.Tensor) -> object:
        begun.set()
        return forward(self, x)

    found = []
    for ahead in (False, True):
        tracker = assemble(tiny_vmos(), tiny_hqsam(), LIGHT_SEGMENTER, Acceleration(ahead=ahead))
        if ahead:
            monkeypatch.setattr(TinyEncoder, "forward", signal)
            propagate = tracker.segmenter.propagate
            monkeypatch.setattr(
                tracker.segmenter,
                "propagate",
                lambda image, after=propagate: begun.wait(30) and after(image),
            )
        tracker.initialize(images[0], masks)
        found.append([tracker.track(image).masks for image in images[1:]])
    np.testing.assert_array_equal(*found)


def test_an_image_is_normalised_alike_on_a_device(images: list[Image]) -> None:
    actual = normalise_on_device(torch.from_numpy(images[0]))
    np.testing.assert_array_equal(actual.numpy(), normalise(images[0]))


def test_float32_is_plain_float32() -> None:
    with precision(CPU, torch.float32):
        assert not torch.is_autocast_enabled("cpu")


def iou(ours: Masks, theirs: Masks) -> float:
    """The mean over objects; 1 where both are empty."""
    both, either = (ours & theirs).sum((1, 2)), (ours | theirs).sum((1, 2))
    return float(np.mean(np.where(either > 0, both / np.maximum(either, 1), 1)))


@pytest.mark.slow
def test_masks_of_the_light_tracker_in_16_bits(shared: Path) -> None:
    """On a real sequence, in the mean as good as the same."""
    from hqtrack import weights
    from hqtrack.light import LIGHT_VMOS
    from vmos import build_vmos

    sequence = open_sequence(shared / "data" / "sequences" / "blackswan")
    images = list(read_frames(sequence.frames[:7]))
    found = []
    for acceleration in (PLAIN, HALF):
        model = build_vmos(LIGHT_VMOS, weights.load(weights.find("light")))
        accelerate(acceleration, model)
        tracker = assemble(model, None, LIGHT_SEGMENTER, acceleration)
        tracker.initialize(images[0], sequence.masks(0))
        found.append([tracker.track(image).masks for image in images[1:]])
    assert np.mean([iou(*pair) for pair in zip(*found, strict=True)]) >= 0.99
    assert any((ours != theirs).any() for ours, theirs in zip(*found, strict=True))


@torch.inference_mode()
def computed(
    networks: tuple[VMOS, HQSam], acceleration: Acceleration, size: tuple[int, int]
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features of both networks, and logits of the fourth frame of a video of noise."""
    vmos, hqsam = copy.deepcopy(networks)
    acceleration = accelerate(acceleration, vmos, hqsam)
    device = next(vmos.parameters()).device
    chance = torch.Generator().manual_seed(1)
    frames = torch.randn(4, 1, 3, *size, generator=chance).to(device)
    labels = torch.zeros(1, *size, dtype=torch.long, device=device)
    labels[:, size[0] // 2 :, : size[1] // 2], labels[:, :, size[1] // 2 :] = 1, 2
    image = torch.randint(0, 256, (48, 64, 3), dtype=torch.uint8, generator=chance)
    with precision(device, acceleration.dtype):
        features = vmos.encode(frames[0])
        first = recent = vmos.reference(features, labels)
        for frame in frames[1:]:
            features = vmos.encode(frame)
            logits, states = vmos.propagate(features, first, recent)
            recent = vmos.memorize(states, labels)
            embedding = hqsam.embed(image)
    return [*features, embedding.features, embedding.hq_features], logits


def agree(networks: tuple[VMOS, HQSam], acceleration: Acceleration, size: tuple[int, int]) -> None:
    """Features and logits differ by what 16 bits round, labels where no label is much likelier.

    Masks of random weights say nothing: where labels are about equally likely, rounding decides.
    """
    (expected, plain), (actual, fast) = (
        computed(networks, way, size) for way in (PLAIN, acceleration)
    )
    for ours, theirs in zip(actual, expected, strict=True):
        assert relative_error(ours, theirs) < 0.05
    assert relative_error(fast, plain) < 0.1
    first, second = plain.topk(2, dim=1).values.unbind(1)
    sure = first - second > 6 * (fast - plain).square().mean().sqrt()
    assert sure.float().mean() > 0.3
    assert torch.equal(fast.argmax(1)[sure], plain.argmax(1)[sure])


def test_networks_in_16_bits_agree_with_those_in_32() -> None:
    agree((tiny_vmos(), tiny_hqsam()), HALF, (33, 41))


def test_networks_of_which_one_is_wrong_do_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the test on a GPU would find it out."""
    attend = ops.global_attention

    def wrong(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        exact = query.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        return attend(query, key, value if exact else 1.5 * value)

    networks = tiny_vmos(), tiny_hqsam()
    for layer in networks[0].propagation.layers():
        layer.long_term.carry = wrong
    with pytest.raises(AssertionError):
        agree(networks, HALF, (33, 41))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestOnAGpu:
    """The whole fast path, as build_tracker puts it together."""

    def test_the_light_tracker_finds_the_masks_of_the_exact_one(self) -> None:
        from hqtrack.build import build_tracker
        from hqtrack.synthetic import generate

        clip = generate(1, 12, (240, 320), 3)
        found = []
        for exact in (True, False):
            tracker = build_tracker("light", CUDA, exact=exact)
            tracker.initialize(clip.images[0], labels_to_masks(clip.masks[0], 3))
            found.append([tracker.track(image).masks for image in clip.images[1:]])
        assert np.mean([iou(*pair) for pair in zip(*found, strict=True)]) >= 0.99

    @pytest.mark.parametrize("graphs", [False, True])
    def test_released_vmos_and_vit_b_agree_with_the_plain_path(self, graphs: bool) -> None:
        """With weights from a seed."""
        from hqsam import build_hqsam
        from vmos import build_vmos

        torch.manual_seed(0)
        networks = build_vmos().to(CUDA), build_hqsam("vit_b").to(CUDA)
        agree(networks, replace(choose_acceleration(CUDA), graphs=graphs), (257, 321))

    def test_results_are_copied_whole(self) -> None:
        numbers = [torch.arange(n, device=CUDA) for n in (5, 1_000_000)]
        for array, tensor in zip(to_host(*numbers), numbers, strict=True):
            np.testing.assert_array_equal(array, tensor.cpu().numpy())

    def test_float32_convolutions_are_not_rounded(self) -> None:
        """TF32 would be off by 1e-3."""
        layer, image = nn.Conv2d(64, 64, 3), torch.randn(1, 64, 32, 32)
        with torch.inference_mode(), precision(CUDA, torch.float32):
            expected = layer(image)
            actual = layer.to(CUDA)(image.to(CUDA)).cpu()
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
