"""Builds a tracker from weights, for a device."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from hqsam import VARIANTS, HQSam, build_hqsam
from hqtrack import environment
from hqtrack import weights as known
from hqtrack.baseline import FirstMask
from hqtrack.compute.acceleration import Acceleration, accelerate, choose_acceleration
from hqtrack.compute.streams import Lane
from hqtrack.device_step import stays_on_device
from hqtrack.errors import InputError
from hqtrack.light import LIGHT_SEGMENTER, LIGHT_VMOS
from hqtrack.presets import FULL, LIGHT, LIGHT_REFINER, PLUS, find_preset, find_tracker
from hqtrack.refiner import MaskRefiner
from hqtrack.rules import PUBLISHED, Rules, find_rules
from hqtrack.segmenter import SegmenterConfig, VideoObjectSegmenter
from hqtrack.tracker import HQTracker, Tracker
from vmos import VMOS, VMOSConfig, build_vmos

Network = TypeVar("Network", bound=nn.Module)

CONFIGS = {
    FULL.name: (VMOSConfig(), SegmenterConfig()),
    PLUS.name: (VMOSConfig(), SegmenterConfig()),
    LIGHT.name: (LIGHT_VMOS, LIGHT_SEGMENTER),
}
"""The configuration of the network and that of the segmenter, by the name of the preset."""


def build_tracker(
    preset: str = FULL.name,
    device: str | torch.device | None = None,
    weights: Path | str | None = None,
    refiner: str | None = None,
    exact: bool = False,
    rules: str | None = None,
) -> HQTracker:
    """Load a tracker.

    Args:
        preset: "full" is the published HQTrack: VMOS with InternImage-T, and HQ-SAM. "light" is
            a small VMOS, without refiner unless "light" is asked for; the weights of both are part
            of this package.
        device: "cpu", "cuda", "cuda:1", ...; by default a GPU if there is one.
        weights: folder of checkpoints, with the file names that `hqtrack weights list` shows; by
            default the folder that `hqtrack weights path` prints.
        refiner: the HQ-SAM of the full preset: "vit_h" as published, by default, or a smaller
            one. The light preset takes "light" only.
        exact: use the reference float32 path, which is slower; see
            `hqtrack.compute.acceleration`.
        rules: "published" or "plus", see `hqtrack.rules`; by default those of the preset.

    Raises:
        InputError: there is no such preset, refiner or device, the preset does not take the
            refiner, or a checkpoint is that of another network.
        MissingFileError: a checkpoint is missing; the message says how to get it.
    """
    chosen = find_preset(preset)
    if refiner is not None and refiner not in VARIANTS:
        raise InputError(f"there is no refiner {refiner!r}: choose one of {', '.join(VARIANTS)}")
    variant = chosen.require_refiner(refiner)
    asked = find_rules(rules or chosen.rules)
    target = choose_device(device)
    acceleration = choose_acceleration(target, exact)
    vmos_config, config = CONFIGS[preset]
    # find all files before reading one, because reading takes a while
    vmos_file, *others = [known.find(name, weights) for name in chosen.checkpoints(refiner)]
    vmos = _load(partial(build_vmos, vmos_config), vmos_file, target)
    hqsam = _load(partial(build_hqsam, variant), others[0], target) if variant else None
    acceleration = accelerate(acceleration, vmos, hqsam)
    return assemble(vmos, hqsam, config, acceleration, asked)


def build_refiner(
    name: str = LIGHT_REFINER,
    device: str | torch.device | None = None,
    weights: Path | str | None = None,
) -> MaskRefiner:
    """Load an HQ-SAM that makes masks from boxes and clicks, see `MaskRefiner.segment`.

    Args:
        name: "light", whose weights are part of this package, or a released one: "vit_tiny",
            "vit_b", "vit_l" or "vit_h".
        device: "cpu", "cuda", "cuda:1", ...; by default a GPU if there is one.
        weights: folder of checkpoints, see `build_tracker`.

    Raises:
        InputError: there is no such HQ-SAM or device, or the checkpoint is that of another network.
        MissingFileError: the checkpoint is missing; the message says how to get it.
    """
    if name not in VARIANTS:
        raise InputError(f"there is no refiner {name!r}: choose one of {', '.join(VARIANTS)}")
    target = choose_device(device)
    file = known.find(f"hqsam_{name}", weights)
    return MaskRefiner(_load(partial(build_hqsam, name), file, target))


def assemble(
    vmos: VMOS,
    hqsam: HQSam | None,
    config: SegmenterConfig,
    acceleration: Acceleration,
    rules: Rules = PUBLISHED,
) -> HQTracker:
    """A tracker with networks that `hqtrack.compute.acceleration.accelerate` has prepared."""
    segmenter = VideoObjectSegmenter(vmos, config, acceleration.dtype, rules.memory, rules.sight)
    refiner = None if hqsam is None else MaskRefiner(hqsam, acceleration.dtype)
    lane = Lane(next(vmos.parameters()).device)
    return HQTracker(
        segmenter,
        refiner,
        ahead=acceleration.ahead,
        rules=rules,
        lane=lane,
        on_device=stays_on_device(segmenter, refiner),
    )


def _load(
    build: Callable[[Mapping[str, Tensor]], Network], file: Path, device: torch.device
) -> Network:
    """The network that `build` makes from a checkpoint, on the device."""
    try:
        return build(known.load(file)).to(device)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error


def build_named(
    name: str,
    device: str | torch.device | None = None,
    weights: Path | str | None = None,
    exact: bool = False,
    rules: str | None = None,
    refiner: str | None = None,
) -> Tracker:
    """Load a tracker by its name in trackers.ini, see `hqtrack.presets`.

    Unless ``refiner`` or ``rules`` are given, the environment decides: HQTRACK_REFINER for those
    trackers that take that HQ-SAM, HQTRACK_RULES for all. See `build_tracker` for the other
    arguments and the errors.
    """
    chosen = find_tracker(name)
    settings = environment.read()
    variant = chosen.require_refiner(refiner) if refiner else chosen.with_refiner(settings.refiner)
    if chosen.vmos is None:
        return FirstMask()
    return build_tracker(chosen.name, device, weights, variant, exact, rules or settings.rules)


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """The device of this name; by default a GPU if there is one, else the CPU.

    Raises InputError if there is no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"there is no device {str(device)!r} here: {error}") from error
    return chosen
