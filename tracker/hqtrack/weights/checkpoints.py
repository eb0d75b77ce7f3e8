"""The known checkpoints: where they lie, where they come from, whether they are whole."""

import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import shipped
from hqtrack.weights.download import DriveFile, HubFile, Remote, download

if TYPE_CHECKING:  # torch takes seconds to import, and most of these functions need none of it
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights.

    name: what `find` and the command line call it. file: its name on disk. licence: under which
    terms it may be used. source: where to fetch it, None for the weights that are part of hqtrack.
    build: makes the network from the weights, or raises ValueError where they are not its own.
    """

    name: str
    file: str
    licence: str
    source: Remote | None
    build: Callable[[Mapping[str, "Tensor"]], object]

    def path(self, directory: Path | str | None = None) -> Path:
        """Where the file belongs: in this folder, else in the usual one."""
        if directory is None and self.source is None:
            return shipped(self.file)
        return Path(directory or folder()) / self.file


def _build_vmos(weights: Mapping[str, "Tensor"]) -> object:
    from vmos import build_vmos

    return build_vmos(state_dict=weights)


def _build_light(weights: Mapping[str, "Tensor"]) -> object:
    from vmos import build_vmos
    from vmos.config import LIGHT_VMOS

    return build_vmos(LIGHT_VMOS, weights)


def _hqsam(variant: str) -> Checkpoint:
    def build(weights: Mapping[str, "Tensor"]) -> object:
        from hqsam import build_hqsam

        return build_hqsam(variant, weights)

    file = f"sam_hq_{variant}.pth"
    licence = "Apache-2.0 (github.com/SysCV/sam-hq)"
    return Checkpoint(f"hqsam_{variant}", file, licence, HubFile("lkeab/hq-sam", file), build)


_VMOS_FILE = "save_step_42000.pth"

KNOWN = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Checkpoint(
            "vmos",
            _VMOS_FILE,
            "MIT (github.com/jiawen-zhu/HQTrack)",
            DriveFile("1Hh10hLtz3YL_zE3PfBCiLB0tvj3Yvv26", _VMOS_FILE),
            _build_vmos,
        ),
        _hqsam("vit_tiny"),
        _hqsam("vit_b"),
        _hqsam("vit_l"),
        _hqsam("vit_h"),
        Checkpoint("light", "light.safetensors", "MIT (part of hqtrack)", None, _build_light),
    )
}

PUBLISHED = ("vmos", "hqsam_vit_h")
"""The checkpoints of the published tracker."""


def folder() -> Path:
    """The folder of the checkpoints: HQTRACK_WEIGHTS, else `hqtrack` in the user's cache."""
    if chosen := os.environ.get("HQTRACK_WEIGHTS"):
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hqtrack"


def known(name: str) -> Checkpoint:
    """The checkpoint of this name; raises InputError for a name that is none."""
    if name not in KNOWN:
        raise InputError(f"there are no weights called {name!r}: choose from {', '.join(KNOWN)}")
    return KNOWN[name]


def find(name: str, directory: Path | str | None = None) -> Path:
    """The file of a known checkpoint, in this folder or, without one, where it belongs.

    Raises InputError for an unknown name and MissingFileError, which says how to get the file,
    where it is not there.
    """
    checkpoint = known(name)
    path = checkpoint.path(directory)
    if path.is_file():
        return path
    if directory and checkpoint.source is None:
        remedy = "those that are part of hqtrack are used where no folder is given"
    else:
        remedy = _remedy(checkpoint, f"HQTRACK_WEIGHTS={path.parent} " if directory else "")
    raise MissingFileError(f"the weights {path.name} are not in {path.parent}: {remedy}")


def used_by(tracker: str, environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Where the weights of a tracker belong, by its name in trackers.ini.

    HQTRACK_WEIGHTS and HQTRACK_REFINER of ``environment`` count. The files need not be there; a
    tracker without weights has none. Raises InputError for a refiner that does not exist.
    """
    chosen = environment.get("HQTRACK_WEIGHTS")
    directory = Path(chosen).expanduser() if chosen else None
    checkpoints = [known(name) for name in _checkpoints(tracker, environment)]
    return [one.path(directory if one.source else None) for one in checkpoints]


def _checkpoints(tracker: str, environment: Mapping[str, str]) -> list[str]:
    if tracker == "HQTrackLight":
        return ["light"]
    if tracker == "HQTrack":
        vmos, hqsam = PUBLISHED
        refiner = environment.get("HQTRACK_REFINER")
        return [vmos, f"hqsam_{refiner}" if refiner else hqsam]
    return []


def _remedy(checkpoint: Checkpoint, place: str = "") -> str:
    """How to get a file; `place` goes before the command."""
    if checkpoint.source is None:
        return "it is part of hqtrack, install that again"
    return (
        f"run `{place}hqtrack weights download {checkpoint.name}`, or get it by hand from "
        f"{checkpoint.source.page}"
    )


def fetch(name: str) -> Path:
    """The file of a known checkpoint, downloaded and checked if it is not there.

    Raises InputError for an unknown name or a folder that cannot be written to, and
    `hqtrack.weights.download.DownloadError` where the file cannot be had.
    """
    checkpoint = known(name)
    if checkpoint.source is None:
        return find(name)
    download(checkpoint.source, checkpoint.path(), lambda path: _check(checkpoint, path))
    return checkpoint.path()


def verify(name: str) -> Path:
    """The file of a known checkpoint, read whole and found to hold every weight in its shape.

    There are no published checksums of the released files; those inside the file are checked.
    Raises MissingFileError where it is not there and InputError where it is damaged or foreign.
    """
    checkpoint, path = known(name), find(name)
    try:
        _check(checkpoint, path)
    except InputError as error:
        raise InputError(f"{error}. Delete it and get it again: {_remedy(checkpoint)}") from error
    return path


def load(path: Path | str) -> dict[str, "Tensor"]:
    """Read the tensors of a .pth or .safetensors file, on the CPU.

    Where the format allows, they are read from disk as they are used. They may lie at the top or
    under "state_dict" or "model". Raises MissingFileError where there is no such file and
    InputError where it is truncated or holds something else.
    """
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there are no weights at {path}: give a .pth or .safetensors file")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else _load_pickle(path)
    except Exception as error:  # any at all, depending on where the damage is
        raise InputError(
            f"{path} cannot be read as weights, it is truncated or something else "
            f"({type(error).__name__}): get it again"
        ) from error
    return _tensors(path, content)


def _load_pickle(path: Path) -> object:
    import torch

    mapped = zipfile.is_zipfile(path)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _tensors(path: Path, content: Any) -> dict[str, "Tensor"]:
    """The named tensors of what a file held."""
    from torch import Tensor

    for nest in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path} holds no named tensors: give a checkpoint of VMOS or HQ-SAM")
    foreign = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if foreign:
        raise InputError(
            f"{path} holds other things than tensors ({', '.join(map(str, foreign[:5]))}): give a "
            "checkpoint of VMOS or HQ-SAM"
        )
    return dict(content)


def _check(checkpoint: Checkpoint, path: Path) -> None:
    """Raise InputError unless the file is whole and its weights fit the network."""
    weights = load(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise InputError(f"{path} is damaged in {damaged}")
    try:
        checkpoint.build(weights)
    except ValueError as error:
        raise InputError(
            f"{path} does not hold the weights of {checkpoint.name}: {error}"
        ) from error
