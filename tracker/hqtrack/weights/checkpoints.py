"""The known checkpoints: their files, their sources, and whether they are intact."""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hqtrack import environment
from hqtrack.environment import Variable
from hqtrack.errors import InputError, MissingFileError, ran_out_of_memory
from hqtrack.files import cache_folder, replacing, shipped
from hqtrack.signals import uninterrupted
from hqtrack.weights.download import DriveFile, HubFile, Remote, download

if TYPE_CHECKING:  # importing torch takes seconds, and most of these functions do not need it
    from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights.

    name: its name in `find` and on the command line. file: its name on disk. megabytes: the size of
    its weights as they are stored, about that of the file. licence: its terms of use. source: where
    to download it, None for the weights that are part of hqtrack. build: builds the network from
    the weights; raises ValueError if they are those of another network.
    """

    name: str
    file: str
    megabytes: int
    licence: str
    source: Remote | None
    build: Callable[[Mapping[str, "Tensor"]], object]

    def path(self, directory: Path | str | None = None) -> Path:
        """The file's path in this folder, by default in `folder()` or in hqtrack itself."""
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


def _build_hqsam(variant: str) -> Callable[[Mapping[str, "Tensor"]], object]:
    def build(weights: Mapping[str, "Tensor"]) -> object:
        from hqsam import build_hqsam

        return build_hqsam(variant, weights)

    return build


def _hqsam(variant: str, megabytes: int) -> Checkpoint:
    file = f"sam_hq_{variant}.pth"
    licence = "Apache-2.0 (github.com/SysCV/sam-hq)"
    source = HubFile("lkeab/hq-sam", file)
    return Checkpoint(f"hqsam_{variant}", file, megabytes, licence, source, _build_hqsam(variant))


_OURS = "MIT (part of hqtrack)"
_VMOS_FILE = "save_step_42000.pth"

KNOWN = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Checkpoint(
            "vmos",
            _VMOS_FILE,
            125,
            "MIT (github.com/jiawen-zhu/HQTrack)",
            DriveFile("1Hh10hLtz3YL_zE3PfBCiLB0tvj3Yvv26", _VMOS_FILE),
            _build_vmos,
        ),
        _hqsam("vit_tiny", 42),
        _hqsam("vit_b", 379),
        _hqsam("vit_l", 1255),
        _hqsam("vit_h", 2571),
        Checkpoint("light", "light.safetensors", 11, _OURS, None, _build_light),
        Checkpoint(
            "hqsam_light", "hqsam_light.safetensors", 23, _OURS, None, _build_hqsam("light")
        ),
    )
}


def folder() -> Path:
    """The folder of checkpoints: HQTRACK_WEIGHTS, else `hqtrack` in the user's cache."""
    return environment.read().weights or cache_folder()


def known(name: str) -> Checkpoint:
    """The checkpoint of this name; raises InputError for an unknown name."""
    if name not in KNOWN:
        raise InputError(f"there are no weights called {name!r}: choose from {', '.join(KNOWN)}")
    return KNOWN[name]


def find(name: str, directory: Path | str | None = None) -> Path:
    """The file of a known checkpoint, in this folder or, by default, in the usual one.

    Raises InputError for an unknown name. If the file is missing, raises MissingFileError, which
    says how to get it.
    """
    checkpoint = known(name)
    path = checkpoint.path(directory)
    if path.is_file():
        return path
    if directory and checkpoint.source is None:
        remedy = "without a folder, hqtrack uses those that are part of it"
    else:
        remedy = _remedy(checkpoint, f"{Variable.WEIGHTS}={path.parent} " if directory else "")
    raise MissingFileError(f"the weights {path.name} are not in {path.parent}: {remedy}")


def _remedy(checkpoint: Checkpoint, place: str = "") -> str:
    """How to get a file; `place` is a prefix of the command."""
    if checkpoint.source is None:
        return "it is part of hqtrack, install hqtrack again"
    return (
        f"run `{place}hqtrack weights download {checkpoint.name}`, or get it by hand from "
        f"{checkpoint.source.page}"
    )


def fetch(name: str) -> Path:
    """The file of a known checkpoint; downloads and verifies it first if it is missing.

    Raises InputError for an unknown name or a folder that is not writable, and
    `hqtrack.weights.download.DownloadError` if the download fails.
    """
    checkpoint = known(name)
    if checkpoint.source is None:
        return find(name)
    download(checkpoint.source, checkpoint.path(), lambda path: _check(checkpoint, path))
    return checkpoint.path()


def verify(name: str) -> Path:
    """The file of a known checkpoint, after reading it and checking every weight and its shape.

    There are no published checksums of the released files; this checks the checksums inside the
    file. Raises MissingFileError if it is missing, InputError if it is damaged or belongs to
    another network.
    """
    checkpoint, path = known(name), find(name)
    try:
        _check(checkpoint, path)
    except InputError as error:
        raise InputError(f"{error}. Delete it and get it again: {_remedy(checkpoint)}") from error
    return path


def load(path: Path | str) -> dict[str, "Tensor"]:
    """Read the tensors of a .pth or .safetensors file, on the CPU.

    If the format allows it, they are read from disk only when used. They may be at the top level
    or under "state_dict" or "model". Raises MissingFileError if there is no such file, InputError
    if it is truncated or contains something else, if a value is NaN or infinite, or if a file that
    is part of hqtrack has another checksum than in `SHA256SUMS`, MemoryError if it does not fit.
    """
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"there are no weights at {path}: give a .pth or .safetensors file")
    _check_sum(path)
    try:
        # the readers turn an exception of a signal handler into one of a damaged file
        with uninterrupted():
            content = load_file(path) if path.suffix == ".safetensors" else _load_pickle(path)
    except Exception as error:  # its type depends on the damage
        if ran_out_of_memory(error):
            raise MemoryError(f"no memory to read {path}") from error
        raise InputError(
            f"{path} cannot be read as weights, it is truncated or something else "
            f"({type(error).__name__}): get it again"
        ) from error
    tensors = _tensors(path, content)
    _check_finite(path, tensors)
    return tensors


def _is_shipped(path: Path) -> bool:
    return path.absolute() == shipped(path.name).absolute()


def _check_sum(path: Path) -> None:
    """Raise InputError if this file is part of hqtrack and its checksum is wrong."""
    if not _is_shipped(path):
        return
    found = _sha256(path)
    if _checksums().get(path.name) != found:
        raise InputError(
            f"{path} is damaged: its SHA-256 is {found}, not that in SHA256SUMS; install hqtrack "
            "again"
        )


def note_checksum(path: Path) -> None:
    """Write the checksum of a new file into `SHA256SUMS` if the file is part of hqtrack.

    Raises OSError if that cannot be written.
    """
    if not _is_shipped(path):
        return
    sums = {**_checksums(), path.name: _sha256(path)}
    with replacing(shipped("SHA256SUMS")) as part:
        part.write_text("".join(f"{value}  {name}\n" for name, value in sorted(sums.items())))


def _checksums() -> dict[str, str]:
    """The SHA-256 of each shipped file, by name; the format is that of sha256sum."""
    lines = shipped("SHA256SUMS").read_text(encoding="ascii").splitlines()
    return {name: checksum for checksum, name in (line.split() for line in lines)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_finite(path: Path, tensors: Mapping[str, "Tensor"]) -> None:
    """Raise InputError if a value is not finite, because every mask would then be empty."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        # NaN is both the lowest and the highest; this does not copy the tensor
        if not all(bound.isfinite() for bound in tensor.aminmax()):
            raise InputError(
                f"{path} is damaged: {name} has values that are not finite (NaN or infinite); get "
                "it again"
            )


def _load_pickle(path: Path) -> object:
    import torch

    mapped = zipfile.is_zipfile(path)
    return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)


def _tensors(path: Path, content: Any) -> dict[str, "Tensor"]:
    """The named tensors in the content of a file."""
    from torch import Tensor

    for nest in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(nest), Mapping):
            content = content[nest]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{path} contains no named tensors: give a checkpoint of VMOS or HQ-SAM")
    foreign = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if foreign:
        raise InputError(
            f"{path} contains other things than tensors ({', '.join(map(str, foreign[:5]))}): give "
            "a checkpoint of VMOS or HQ-SAM"
        )
    return dict(content)


def _check(checkpoint: Checkpoint, path: Path) -> None:
    """Raise InputError unless the file is intact and its weights fit the network."""
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
