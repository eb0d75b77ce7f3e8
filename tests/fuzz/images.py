"""The images that sessions name."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from tests.fuzz.script import GOOD_IMAGES, HEIGHT, WIDTH


def make_images(folder: Path) -> None:
    """Write good images, and all sorts of other files under the names of images."""
    folder.mkdir()
    encoded = cv2.imencode(".png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8))[1].tobytes()
    for name in GOOD_IMAGES:
        (folder / name).write_bytes(encoded)
    (folder / "text.png").write_text("this is no image")
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.png").write_bytes(encoded[:40])
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    (folder / "huge.png").write_bytes(huge_png(60_000, 60_000))


def huge_png(width: int, height: int) -> bytes:
    """The beginning of a black PNG of this size; a decoder would set memory aside for all of it."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10_000))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
