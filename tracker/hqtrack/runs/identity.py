"""The identity of a video and of weights: what has to stay the same for a run to go on."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hqtrack.files import open_regular
from hqtrack.types import Image
from hqtrack.video.sources import Images, Source

_SAMPLE_BYTES = 1 << 16
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class Identity:
    """The files of a video: their number and size in bytes, a digest of their names and of samples
    of their content, and one of the times of their last changes.

    A video that is no file of this machine has no files, and is known by its address only.
    """

    files: int = 0
    bytes: int = 0
    content: str = ""
    times: str = ""

    def changes(self, before: Mapping[str, Any]) -> str:
        """What differs from the fields of an earlier identity, in words; empty if nothing does."""
        now = asdict(self)
        for name in ("files", "bytes"):
            if before.get(name) != now[name]:
                return f"{before.get(name)} {name} then, {now[name]} now"
        if before.get("content") != now["content"]:
            return "other content, or other names"
        return "changed since" if before.get("times") != now["times"] else ""


def identify(source: Source) -> Identity:
    """The present identity of a video; reads little, however large its files are.

    A file that cannot be read counts as empty: whoever reads its frame says what is wrong.
    """
    if isinstance(source, Images):
        return _identity(source.paths, [path.name for path in source.paths])
    path = Path(source.address)
    return _identity([path], [""]) if path.is_file() else Identity()


def image_digest(image: Image) -> str:
    """A digest of the pixels of a frame."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_DIGEST_BYTES).hexdigest()


def file_digest(path: Path) -> str:
    """The first digits of the SHA-256 of an entire file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[: 2 * _DIGEST_BYTES]


def _identity(paths: Sequence[Path], names: Sequence[str]) -> Identity:
    content, times = (hashlib.blake2b(digest_size=_DIGEST_BYTES) for _ in range(2))
    total = 0
    for path, name in zip(paths, names, strict=True):
        size, time, samples = _sampled(path)
        total += size
        content.update(f"{name}\0{size}\0".encode(errors="surrogateescape") + samples)
        times.update(f"{time} ".encode())
    return Identity(len(paths), total, content.hexdigest(), times.hexdigest())


def _sampled(path: Path) -> tuple[int, int, bytes]:
    """The size of a regular file, the time of its last change, and its head, middle and tail."""
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            starts: Sequence[int] = range(0, size, _SAMPLE_BYTES)
            if len(starts) > 3:
                starts = (0, (size - _SAMPLE_BYTES) // 2, size - _SAMPLE_BYTES)
            parts = (os.pread(file.fileno(), _SAMPLE_BYTES, start) for start in starts)
            return size, status.st_mtime_ns, b"".join(parts)
    except OSError:
        return 0, 0, b""
