"""Faster computation (bfloat16, Triton, CUDA graphs) and how to disable it."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from hqsam import HQSam
from hqsam.encoder import ViTEncoder
from hqtrack import environment
from hqtrack.compute.graphs import Replayed
from vmos import VMOS

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
        graphs: both image encoders run as CUDA graphs; with kernels only.
    """

    dtype: torch.dtype = torch.float32
    kernels: bool = False
    ahead: bool = False
    graphs: bool = False


PLAIN = Acceleration()


def choose_acceleration(device: torch.device, exact: bool = False) -> Acceleration:
    """The fastest computation that the device supports; the float32 path if ``exact``.

    We have not measured CUDA graphs, so only HQTRACK_GRAPHS=1 in the environment enables them.
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
    first time and almost nothing once Triton has cached them. If kernels cannot be compiled, the
    networks keep the reference functions, and a line on stderr says why.
    """
    if acceleration.dtype != torch.float32:
        _store(vmos.encoder, acceleration.dtype)
        _store(vmos.propagation, acceleration.dtype)
        if hqsam is not None and isinstance(hqsam.image_encoder, ViTEncoder):
            _store(hqsam.image_encoder, acceleration.dtype)
    if acceleration.kernels:
        acceleration = _fuse(acceleration, vmos, hqsam)
    if acceleration.graphs:
        for network in [vmos.encoder] + ([] if hqsam is None else [hqsam.image_encoder]):
            network.forward = Replayed(network.forward)  # type: ignore[method-assign]
    return acceleration


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
    """Install the kernels and try them; go back to the reference functions if that fails."""
    from hqsam import kernels as hqsam_kernels
    from vmos import kernels as vmos_kernels

    try:
        vmos_kernels.fuse(vmos)
        if hqsam is not None:
            hqsam_kernels.fuse(hqsam)
        _rehearse(acceleration, vmos, hqsam)
    except Exception as error:  # compilers raise errors of any type
        vmos_kernels.fuse(vmos, fused=False)
        if hqsam is not None:
            hqsam_kernels.fuse(hqsam, fused=False)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        print(f"hqtrack: no Triton kernels, slower: {reason}", file=sys.stderr)
        # the reference functions copy data to the GPU, which a CUDA graph cannot record
        return replace(acceleration, kernels=False, graphs=False)
    return acceleration


@torch.inference_mode()
def _rehearse(acceleration: Acceleration, vmos: VMOS, hqsam: HQSam | None) -> None:
    """Run the networks on a small frame."""
    device = next(vmos.parameters()).device
    with precision(device, acceleration.dtype):
        side = vmos.config.coarse_stride * vmos.config.window_radius + 1
        features = vmos.encode(torch.zeros(1, 3, side, side, device=device))
        labels = torch.zeros(1, side, side, dtype=torch.long, device=device)
        memory = vmos.reference(features, labels)
        vmos.memorize(vmos.propagate(features, memory, memory).states, labels)
        if hqsam is not None:
            hqsam.embed(torch.zeros(8, 8, 3, dtype=torch.uint8))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
