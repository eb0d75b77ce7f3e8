"""The test pipeline: a tracker with full memory, frames on disk, and all objects visible."""

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from hqsam import VARIANTS, HQSam, build_hqsam
from hqtrack import weights as known
from hqtrack.build import CONFIGS, choose_device
from hqtrack.compute.acceleration import PLAIN, Acceleration, accelerate, choose_acceleration
from hqtrack.compute.streams import Lane
from hqtrack.compute.transfer import to_device
from hqtrack.device_masks import label_type
from hqtrack.device_step import stays_on_device
from hqtrack.errors import InputError, MissingFileError
from hqtrack.masks import masks_to_labels
from hqtrack.presets import FULL, PUBLISHED_REFINER, WITH_NETWORKS, find_preset
from hqtrack.refiner import MaskRefiner
from hqtrack.regions import to_region
from hqtrack.segmenter import Found, SegmenterConfig, VideoObjectSegmenter
from hqtrack.stages import Stage, stage
from hqtrack.synthetic import RESERVED_SEED, generate
from hqtrack.tracker import HQTracker
from hqtrack.types import Image, Masks
from hqtrack.video import read_image
from hqtrack.video.images import write_image
from vmos import VMOS, build_vmos
from vmos.attention import LayerMemory

Network = TypeVar("Network", bound=nn.Module)

NO_REFINER = "none"
DTYPES = ("float32", "bfloat16")
SIDES = (48, 8192)
"""Shortest and longest allowed side of a frame, in pixels."""

_IMAGES = 4
_COPIES_OF_MASKS = 4
_NEVER = 10**9
_RADIUS, _SMALLEST_CELL = 0.4, 8


@dataclass(frozen=True)
class Setup:
    """What to measure.

    Raises InputError if this cannot be measured.

    Attributes:
        preset: "full" or "light".
        variant: the HQ-SAM of the full preset, or "none".
        size: (height, width) of the frames, in pixels.
        objects: number of objects, all visible on every frame.
        memory: frames in long-term memory; None for as many as the preset keeps.
        device: the device; None for a GPU if there is one.
        dtype: "float32" or "bfloat16"; None for the faster one on the device.
        exact: use the reference path, without kernels and concurrency.
    """

    preset: str = FULL.name
    variant: str = PUBLISHED_REFINER
    size: tuple[int, int] = (480, 854)
    objects: int = 5
    memory: int | None = None
    device: str | None = None
    dtype: str | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        """Check the fields."""
        variants = (*VARIANTS, NO_REFINER)
        types = (*DTYPES, None)
        for name, offered in (
            (self.preset, WITH_NETWORKS),
            (self.variant, variants),
            (self.dtype, types),
        ):
            if name not in offered:
                names = ", ".join(filter(None, offered))
                raise InputError(f"there is no {name!r}: choose one of {names}")
        low, high = SIDES
        height, width = self.size
        if not low <= min(self.size) <= max(self.size) <= high:
            raise InputError(f"size {width}x{height}: give sides of {low} to {high} pixels")
        if self.objects < 1 or (self.memory is not None and self.memory < 1):
            raise InputError("give at least 1 object and at least 1 frame in memory")
        if _COPIES_OF_MASKS * self.objects * height * width > _physical_memory():
            raise InputError(
                f"the masks of {self.objects} objects at {width}x{height} do not fit in the "
                "memory of this machine: give fewer objects or a smaller size"
            )

    @property
    def refined(self) -> bool:
        """Whether there is a refiner."""
        return self.variant != NO_REFINER and len(self._checkpoints()) > 1

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """The names of the weights: those of VMOS, then those of HQ-SAM if there is a refiner."""
        return self._checkpoints() if self.refined else self._checkpoints()[:1]

    def _checkpoints(self) -> tuple[str, ...]:
        asked = None if self.variant == NO_REFINER else self.variant
        return find_preset(self.preset).checkpoints(asked)

    @property
    def segmenter(self) -> SegmenterConfig:
        """The preset's segmenter."""
        return CONFIGS[self.preset][1]

    @property
    def memory_frames(self) -> int:
        """Frames in long-term memory."""
        return self.memory or self.segmenter.long_term_size


class Networks(NamedTuple):
    """The networks of a setup, on its device; ``stand_ins`` names those with random weights."""

    vmos: VMOS
    hqsam: HQSam | None
    stand_ins: tuple[str, ...]
    acceleration: Acceleration = PLAIN

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return next(self.vmos.parameters()).device


def load_networks(setup: Setup, weights: Path | None = None) -> Networks:
    """Load the networks; if weights are missing, use random weights from a seed.

    ``weights`` is a folder of checkpoints, None for the usual one. Raises InputError if the device
    or a checkpoint cannot be used, or if memory is too small.
    """
    device = choose_device(setup.device)
    stand_ins = []

    def load(name: str, build: Callable[..., Network]) -> Network:
        try:
            tensors = known.load(known.find(name, weights))
        except MissingFileError:
            tensors = None
            stand_ins.append(name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return build(state_dict=tensors).to(device)

    with fitting(setup):
        vmos_name, *hqsam_names = setup.checkpoints
        vmos = load(vmos_name, partial(build_vmos, CONFIGS[setup.preset][0]))
        build = partial(build_hqsam, setup.variant)
        hqsam = load(hqsam_names[0], build) if hqsam_names else None
        acceleration = choose_acceleration(device, setup.exact)
        if setup.dtype is not None:
            acceleration = replace(acceleration, dtype=getattr(torch, setup.dtype))
        acceleration = accelerate(acceleration, vmos, hqsam)
    return Networks(vmos, hqsam, tuple(stand_ins), acceleration)


def save_networks(setup: Setup, networks: Networks, folder: Path) -> None:
    """Put the checkpoint files into a folder, also for networks with random weights."""
    modules = [network for network in (networks.vmos, networks.hqsam) if network is not None]
    for name, module in zip(setup.checkpoints, modules, strict=True):
        file = folder / known.known(name).file
        if name in networks.stand_ins:
            state = module.state_dict()
            torch.save({key: value.float() for key, value in state.items()}, file)
        else:
            file.symlink_to(known.find(name).absolute())


@contextmanager
def fitting(setup: Setup) -> Iterator[None]:
    """Turn the errors of torch and numpy for too little memory into an InputError."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        short = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if short or "can't allocate memory" in str(error):
            raise InputError(
                f"{setup} does not fit in memory: give fewer objects, a smaller size or a "
                "smaller variant"
            ) from error
        raise


class HeldSegmenter(VideoObjectSegmenter):
    """Does all the work of a segmenter, but then reports the first masks.

    So every object is visible on every frame, whatever the weights.
    """

    def __init__(
        self, model: VMOS, config: SegmenterConfig, dtype: torch.dtype, masks: Masks
    ) -> None:
        super().__init__(model, config, dtype)
        self._labels = to_device(masks_to_labels(masks), self.device).to(label_type(len(masks)))

    def launch(self, image: Image) -> Found:
        """Segment, and replace the result by the first masks."""
        return super().launch(image)._replace(labels=self._labels)

    def fill_memory(self, frames: int) -> None:
        """Fill long-term memory with copies of the first frame, up to ``frames`` frames."""
        for bank in self._known_video().banks:
            first = bank.short_term.memory
            for number in range(1, frames):
                copied = [LayerMemory(key.clone(), value.clone()) for key, value in first]
                bank.add(number * _NEVER, tuple(copied))


class Rehearsal:
    """An endless video that repeats a few frames."""

    def __init__(self, setup: Setup, networks: Networks, folder: Path, filled: bool) -> None:
        """Write the frames as JPEG files into ``folder``; see ``rehearse`` for ``filled``."""
        self._paths = _write_images(setup.size, folder)
        self._masks = place_objects(setup.objects, setup.size)
        self._memory_frames = setup.memory_frames if filled else 1
        config = replace(setup.segmenter, long_term_size=max(2, setup.memory_frames))
        if filled:
            config = replace(config, long_term_gap=_NEVER)
        fast = networks.acceleration
        refiner = None if networks.hqsam is None else MaskRefiner(networks.hqsam, fast.dtype)
        self._segmenter = HeldSegmenter(networks.vmos, config, fast.dtype, self._masks)
        lane = Lane(networks.device)
        self.tracker = HQTracker(
            self._segmenter,
            refiner,
            ahead=fast.ahead,
            lane=lane,
            on_device=stays_on_device(self._segmenter, refiner),
        )
        self._shown = 0

    def start(self) -> None:
        """Give the tracker the first frame, and fill memory with it."""
        self.tracker.initialize(read_image(self._paths[0]), self._masks)
        self._segmenter.fill_memory(self._memory_frames)

    def frame(self) -> None:
        """Track the next frame, from reading the file to the regions of a VOT reply."""
        self._shown += 1
        with stage(Stage.READ):
            image = read_image(self._paths[self._shown % _IMAGES])
        tracked = self.tracker.track(image)
        with stage(Stage.ANSWER):
            for mask in tracked.masks:
                to_region(mask)


@contextmanager
def rehearse(setup: Setup, networks: Networks, filled: bool = True) -> Iterator[Rehearsal]:
    """A rehearsal that has started; deletes its files afterwards.

    If ``filled``, long-term memory is full from the start and does not change. Otherwise the video
    fills it by the rules of the preset.
    """
    with tempfile.TemporaryDirectory(prefix="hqtrack-bench-") as folder, fitting(setup):
        rehearsal = Rehearsal(setup, networks, Path(folder), filled)
        rehearsal.start()
        yield rehearsal


def place_objects(count: int, size: tuple[int, int]) -> Masks:
    """Ellipses [N,H,W] that do not touch, one in each cell of a grid over a frame (H, W).

    Raises InputError if they do not fit.
    """
    height, width = size
    columns = math.ceil(math.sqrt(count * width / height))
    rows = math.ceil(count / columns)
    masks = np.zeros((count, height, width), np.bool_)
    if min(height / rows, width / columns) < _SMALLEST_CELL:
        raise InputError(
            f"{count} objects do not fit at {width}x{height}: give fewer, or a larger size"
        )
    for index, mask in enumerate(masks):
        row, column = divmod(index, columns)
        y = (np.arange(height) + 0.5) * rows / height - row - 0.5
        x = (np.arange(width) + 0.5) * columns / width - column - 0.5
        mask[:] = np.square(y)[:, None] + np.square(x) < _RADIUS**2
    return masks


def _write_images(size: tuple[int, int], folder: Path) -> list[Path]:
    """Write a generated image as frames, shifted from frame to frame."""
    image = generate(RESERVED_SEED, 1, size, 1).images[0]
    paths = []
    for number in range(_IMAGES):
        paths.append(folder / f"{number}.jpg")
        write_image(paths[-1], np.roll(image, 3 * number, axis=1))
    return paths


def _physical_memory() -> int:
    """The memory of this machine in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
