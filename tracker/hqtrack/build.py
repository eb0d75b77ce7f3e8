"""The composition root: weights and a device -> a tracker."""

from pathlib import Path

import torch

from hqsam import build_hqsam
from hqtrack import weights as known
from hqtrack.baseline import FirstMask
from hqtrack.errors import InputError
from hqtrack.light import LIGHT_SEGMENTER, LIGHT_VMOS
from hqtrack.refiner import MaskRefiner
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.tracker import HQTracker, Tracker
from vmos import build_vmos

PRESETS = ("full", "light")
REFINERS = ("vit_h", "vit_l", "vit_b", "vit_tiny")


def build_tracker(
    preset: str = "full",
    device: str | torch.device | None = None,
    weights: Path | None = None,
    refiner: str = "vit_h",
) -> HQTracker:
    """Load a tracker.

    Args:
        preset: "full" is the published HQTrack: VMOS with InternImage-T, and HQ-SAM. "light" is
            a small VMOS without refiner, whose weights are part of this package.
        device: "cpu", "cuda", "cuda:1", ...; without it a GPU where there is one.
        weights: folder that holds the checkpoint files, under the names that `hqtrack weights
            list` shows; without it the usual places.
        refiner: the HQ-SAM of the full preset: "vit_h" as published, or a smaller one.

    Raises:
        InputError: there is no such preset, refiner or device.
        MissingFileError: a checkpoint is not there; the message says how to get it.
        CheckpointError: a checkpoint is not what its name says.
    """
    if preset not in PRESETS:
        raise InputError(f"there is no preset {preset!r}: choose one of {', '.join(PRESETS)}")
    if refiner not in REFINERS:
        raise InputError(f"there is no refiner {refiner!r}: choose one of {', '.join(REFINERS)}")
    target = choose_device(device)
    if preset == "light":
        light = build_vmos(LIGHT_VMOS, known.load(known.find("light", weights)))
        return HQTracker(VideoObjectSegmenter(light.to(target), LIGHT_SEGMENTER))
    # Both files are looked for before either is read: reading takes a while.
    vmos_file = known.find("vmos", weights)
    hqsam_file = known.find(f"hqsam_{refiner}", weights)
    vmos = build_vmos(state_dict=known.load(vmos_file)).to(target)
    hqsam = build_hqsam(refiner, known.load(hqsam_file)).to(target)
    return HQTracker(VideoObjectSegmenter(vmos), MaskRefiner(hqsam))


def build_named(
    name: str, device: str | torch.device | None = None, weights: Path | None = None
) -> Tracker:
    """Load a tracker by its name in trackers.ini: HQTrack, HQTrackLight or FirstMask.

    See `build_tracker` for the other arguments and the errors.
    """
    if name == "FirstMask":
        return FirstMask()
    presets = {"HQTrack": "full", "HQTrackLight": "light"}
    if name not in presets:
        raise InputError(
            f"there is no tracker {name!r}: choose one of {', '.join([*presets, 'FirstMask'])}"
        )
    return build_tracker(presets[name], device, weights)


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """The device of this name, or a GPU where there is one, else the CPU."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"there is no device {str(device)!r} here: {error}") from error
    return chosen
