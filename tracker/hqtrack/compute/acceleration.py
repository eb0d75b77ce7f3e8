"""Faster computation (bfloat16, Triton, CUDA graphs) and how to disable it."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hqsam import HQSam
from hqsam.encoder import ViTEncoder
from hqsam.light import LightEncoder
from hqtrack import environment
from hqtrack.compute.graphs import Recorder, Replayed
from hqtrack.compute.trial import Agreement, Family, describe_faults, install_what_works
from vmos import VMOS
from vmos.attention import LayerMemory

_CAPABILITY = (8, 0)
"""The lowest compute capability that has bfloat16 tensor cores and can run the kernels."""

_WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Acceleration:
    """How a tracker computes. The defaults are the reference float32 path, without concurrency.

    Attributes:
        dtype: of convolutions and matrix products; norms, softmax and logits stay in float32.
        kernels: our Triton kernels instead of the reference functions.
        ahead: HQ-SAM encodes the image concurrently with VMOS.
        graphs: both image encoders and propagation run as CUDA graphs; with all kernels only.
    """

    dtype: torch.dtype = torch.float32
    kernels: bool = False
    ahead: bool = False
    graphs: bool = False


PLAIN = Acceleration()


def choose_acceleration(device: torch.device, exact: bool = False) -> Acceleration:
    """The fastest computation that the device supports; the float32 path if ``exact``.

    HQTRACK_GRAPHS=0 in the environment disables CUDA graphs.
    """
    if exact:
        return PLAIN
    if device.type == "cpu" and _cpu_multiplies_bfloat16():
        return Acceleration(torch.bfloat16)
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _CAPABILITY:
        return PLAIN
    kernels = find_spec("triton") is not None
    return Acceleration(
        torch.bfloat16,
        kernels=kernels,
        ahead=True,
        graphs=kernels and environment.read().graphs,
    )


def _cpu_multiplies_bfloat16() -> bool:
    """Whether the CPU has bfloat16 instructions; without them bfloat16 is slower than float32."""
    ask: Callable[[], dict[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()  # empty in versions of torch without it
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def accelerate(acceleration: Acceleration, vmos: VMOS, hqsam: HQSam | None = None) -> Acceleration:
    """Prepare networks permanently for this kind of inference; returns the acceleration in effect.

    This compiles the kernels on small inputs, so that no frame has to wait. It takes seconds the
    first time and almost nothing once Triton has cached them. The first time on a machine, it also
    compares each kernel with the reference function. If one cannot be compiled or differs, the
    networks keep its reference function, a line on stderr says why, and there are no CUDA graphs.
    """
    if acceleration.dtype != torch.float32:
        _store(vmos.encoder, acceleration.dtype)
        _store(vmos.propagation, acceleration.dtype)
        if hqsam is not None and isinstance(hqsam.image_encoder, ViTEncoder):
            _store(hqsam.image_encoder, acceleration.dtype)
    if acceleration.kernels:
        acceleration = _fuse(acceleration, vmos, hqsam)
    if acceleration.graphs:
        replay(vmos, hqsam)
    return acceleration


def replay(vmos: VMOS, hqsam: HQSam | None = None) -> None:
    """Make both image encoders and propagation run as CUDA graphs.

    Not the encoder of the light HQ-SAM, whose number of windows changes from frame to frame.
    """
    # what runs on one stream, one after the other, shares memory
    record = Recorder()
    for network, attribute in ((vmos.encoder, "forward"), (vmos, "propagate")):
        setattr(network, attribute, Replayed(getattr(network, attribute), record))
    if hqsam is not None and not isinstance(hqsam.image_encoder, LightEncoder):
        encoder = hqsam.image_encoder
        encoder.forward = Replayed(encoder.forward)


def precision(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """A context with convolutions and matrix products in this type; float32 excludes TF32."""
    if dtype != torch.float32:
        return torch.autocast(device.type, dtype)
    if device.type == "cuda":
        return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return nullcontext()


def _store(network: nn.Module, dtype: torch.dtype) -> None:
    """Store weights in the type to which autocast would convert them for every frame."""
    for module in network.modules():
        if isinstance(module, _WEIGHTED):
            module.to(dtype)


def _fuse(acceleration: Acceleration, vmos: VMOS, hqsam: HQSam | None) -> Acceleration:
    """Install the kernels that work on this machine."""
    from hqsam import kernels as hqsam_kernels
    from vmos import kernels as vmos_kernels

    device = next(vmos.parameters()).device
    families = [
        Family(
            partial(vmos_kernels.install, vmos),
            vmos_kernels.FUSED,
            vmos_kernels.PLAIN,
            partial(_rehearse_vmos, vmos, acceleration.dtype),
        )
    ]
    networks, sources = [str(acceleration.dtype), repr(vmos.config)], [vmos_kernels.__file__]
    if hqsam is not None and isinstance(hqsam.image_encoder, ViTEncoder):
        families.append(
            Family(
                partial(hqsam_kernels.install, hqsam),
                hqsam_kernels.FUSED,
                hqsam_kernels.PLAIN,
                partial(_rehearse_hqsam, hqsam, acceleration.dtype),
            )
        )
        networks.append(repr(hqsam.image_encoder))
        sources.append(hqsam_kernels.__file__)
    agreement = Agreement(device, networks, map(Path, sources))
    known, faults = agreement.known(), dict[str, Exception]()
    for family in families:
        faults |= install_what_works(family, known)
    if not faults:
        agreement.note()
        return acceleration
    print(describe_faults(faults), file=sys.stderr)
    # the reference functions copy data to the GPU, which a CUDA graph cannot record
    some = len(faults) < sum(len(family.fused) for family in families)
    return replace(acceleration, kernels=some, graphs=False)


@torch.inference_mode()
def _rehearse_vmos(vmos: VMOS, dtype: torch.dtype) -> None:
    """Run the network on a small frame, with so much memory that kernels split the keys."""
    device = next(vmos.parameters()).device
    side = vmos.config.coarse_stride * vmos.config.window_radius + 1
    chance = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, side, side, generator=chance).to(device)
    labels = torch.zeros(1, side, side, dtype=torch.long, device=device)
    labels[:, : side // 2] = 1
    with precision(device, dtype):
        features = vmos.encode(image)
        memory = vmos.reference(features, labels)
        frames = vmos.config.window_radius
        long_term = tuple(
            LayerMemory(key.repeat(1, frames, 1), value.repeat(1, frames, 1))
            for key, value in memory
        )
        vmos.memorize(vmos.propagate(features, long_term, memory).states, labels)
    _wait(device)


@torch.inference_mode()
def _rehearse_hqsam(hqsam: HQSam, dtype: torch.dtype) -> None:
    """Encode a small image."""
    device = next(hqsam.parameters()).device
    chance = torch.Generator().manual_seed(0)
    with precision(device, dtype):
        hqsam.embed(torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=chance))
    _wait(device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
