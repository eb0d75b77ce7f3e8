"""Computes memory and work of HQTrack from the sizes of tensors: `python -m benchmarks.tensors`.

It runs every operation of a frame on tensors without content, under autocast to bfloat16, so it
needs neither a GPU nor its memory. It adds up live tensors, and the multiplications and additions
of convolutions and matrix products. It does not include the internal memory of operators, unused
parts of the allocator's blocks, the CUDA context, and the operations of sampling and norms.
"""

import argparse
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import run
from hqsam import HQSam, build_hqsam
from hqsam.encoder import IMAGE_SIZE
from hqsam.sam import ImageEmbedding
from hqtrack import decoding
from hqtrack.bench.pipeline import Setup
from hqtrack.commands.options import add_setup_arguments, setup_of
from hqtrack.preprocess import network_size
from hqtrack.refiner import BOXES_AT_ONCE
from vmos import VMOS, FrameMemory, build_vmos
from vmos.attention import LayerMemory

_MEBIBYTE = 2**20


class LiveTensors(TorchDispatchMode):
    """Counts the bytes of all live tensors, and their peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes: dict[int, int] = {}
        self.bytes = 0
        self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._sizes:
            return
        self._sizes[key] = storage.nbytes()
        self.bytes += storage.nbytes()
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.bytes -= self._sizes.pop(key)


class Phase(NamedTuple):
    """A phase: live MiB after it and at most during it, and floating-point operations."""

    after: float
    most: float
    flop: int


class Budget:
    """The memory and work of each phase of a frame."""

    def __init__(self, live: LiveTensors, counter: FlopCounterMode) -> None:
        self._live = live
        self._counter = counter
        self.phases: dict[str, Phase] = {}

    def phase(self, name: str, run: Callable[[], Any]) -> Any:
        """Run a phase; returns the result of ``run``."""
        self._live.peak = self._live.bytes
        before = self._counter.get_total_flops()
        made = run()
        self.phases[name] = Phase(
            self._live.bytes / _MEBIBYTE,
            self._live.peak / _MEBIBYTE,
            self._counter.get_total_flops() - before,
        )
        return made


def compute(setup: Setup) -> dict[str, Phase]:
    """The phases of a frame with full memory; a tracker's phases have the names of its stages."""
    # in inference mode autocast does not reach operators that torch composes of others
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), FakeTensorMode(), LiveTensors() as live, counter:
        budget = Budget(live, counter)
        vmos = budget.phase("weights of VMOS", build_vmos)
        hqsam = None
        if setup.refined:
            hqsam = budget.phase("weights of HQ-SAM", lambda: build_hqsam(setup.variant))
            # the operation counter fails if a function returns parameters themselves
            hqsam.requires_grad_(False)
        networks = [vmos.encoder, vmos.propagation, *([hqsam.image_encoder] if hqsam else [])]
        budget.phase("weights in bfloat16", partial(_store, networks))
        with torch.autocast("cpu", torch.bfloat16):
            kept = _segment(setup, vmos, budget)
            if hqsam is not None:
                _refine(setup, hqsam, budget)
        del kept
        return budget.phases


def _store(networks: Sequence[nn.Module]) -> None:
    """Convert weights as `hqtrack.compute.acceleration` does; ``Module.to`` fails for them."""
    for module in chain.from_iterable(network.modules() for network in networks):
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            for name, weight in list(module.named_parameters(recurse=False)):
                setattr(module, name, nn.Parameter(weight.bfloat16()))


def _segment(setup: Setup, vmos: VMOS, budget: Budget) -> tuple[Any, ...]:
    """Propagate a frame; the returned tensors stay alive during refinement."""
    config, (height, width) = setup.segmenter, setup.size
    size = network_size(
        height, width, config.min_short_edge, config.max_long_edge, vmos.config.coarse_stride
    )
    groups = range(-(-setup.objects // vmos.config.objects))
    labels = torch.zeros(1, *size, dtype=torch.long)
    encoded = vmos.encode(torch.zeros(1, 3, *size))
    first = vmos.reference(encoded, labels)
    long_term = [_repeated(first, setup.memory_frames) for _ in groups]
    recent = [[_repeated(first, 1) for _ in range(config.short_term_lag)] for _ in groups]
    del first, encoded
    budget.phase("memory", lambda: None)
    features = budget.phase("encode", lambda: vmos.encode(torch.zeros(1, 3, *size)))
    propagated = budget.phase(
        "propagate",
        lambda: [vmos.propagate(features, long_term[g], recent[g][0]) for g in groups],
    )
    logits = [p.logits.float() for p in propagated]
    budget.phase("decode", lambda: decoding.decode_labels(logits, setup.size))
    recent.append(
        budget.phase("memorize", lambda: [vmos.memorize(p.states, labels) for p in propagated])
    )
    return long_term, recent, features, propagated


def _repeated(memory: FrameMemory, frames: int) -> FrameMemory:
    return tuple(
        LayerMemory(key.repeat(1, frames, 1), value.repeat(1, frames, 1)) for key, value in memory
    )


def _refine(setup: Setup, hqsam: HQSam, budget: Budget) -> None:
    side = IMAGE_SIZE

    def encode() -> tuple[Tensor, Tensor]:
        encoded = hqsam.image_encoder(torch.zeros(1, 3, side, side))
        return encoded.features, hqsam.mask_decoder.hq_features(encoded)

    features, detail = budget.phase("SAM-encode", encode)
    input_size = (side * setup.size[0] // max(setup.size), side * setup.size[1] // max(setup.size))
    embedding = ImageEmbedding(features.float(), detail.float(), setup.size, input_size)
    boxes = torch.zeros(min(setup.objects, BOXES_AT_ONCE), 4)

    def decode() -> Tensor:
        with torch.autocast("cpu", enabled=False):
            sparse, dense = hqsam.prompt_encoder(points=None, boxes=boxes, masks=None)
            positions = hqsam.prompt_encoder.get_dense_pe()
            prompts = (positions, sparse, dense)
            predicted = hqsam.mask_decoder(
                *embedding[:2], *prompts, multimask=True, hq_token_only=False
            )
            return hqsam.to_image(predicted.logits, embedding) > 0

    budget.phase("SAM-decode", decode)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_setup_arguments(
        parser, ("variant", "size", "objects", "memory"), size=(1080, 1920), objects=10
    )
    setup = setup_of(parser.parse_args(), preset="full")
    phases = compute(setup)
    height, width = setup.size
    table = Table(
        *("phase", "alive after, MiB", "at most, MiB", "TFLOP"),
        title=f"{setup.variant}, {width}x{height}, {setup.objects} objects, computed",
    )
    for name, phase in phases.items():
        table.add_row(name, f"{phase.after:.0f}", f"{phase.most:.0f}", f"{phase.flop / 1e12:.3f}")
    table.add_section()
    most = max(phase.most for phase in phases.values())
    work = sum(phase.flop for phase in phases.values()) / 1e12
    table.add_row("in all", "", f"{most:.0f}", f"{work:.3f}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
