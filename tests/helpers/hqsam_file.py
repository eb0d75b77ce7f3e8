"""The checkpoint of HQ-SAM vit_tiny, damaged or from a server on this machine."""

from pathlib import Path

NAME = "hqsam_vit_tiny"


FILE = "sam_hq_vit_tiny.pth"


def flip_in_the_middle(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


class Url:
    """A source on the local server."""

    page = "https://example.org/weights"

    def __init__(self, address: str) -> None:
        self.address = address

    def fetch(self, target: Path) -> None:
        import gdown

        gdown.download(url=self.address, output=str(target), quiet=True, resume=True, timeout=5)
