"""What an HQ-SAM is made of."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Sizes:
    """Sizes of the network behind the image encoder; the released ones by default.

    Attributes:
        image: side of the square network input, in pixels.
        dim: channels of the features, prompts and decoder; a multiple of 64.
        mlp: channels inside the perceptrons of the decoder's transformer.
    """

    image: int = 1024
    dim: int = 256
    mlp: int = 2048
    stride: ClassVar[int] = 16

    @property
    def tokens(self) -> int:
        """Side of the features, in image tokens."""
        return self.image // self.stride

    @property
    def fine_dim(self) -> int:
        """Channels of the pixels that a mask token is compared with."""
        return self.dim // 8


RELEASED = Sizes()
LIGHT = Sizes(image=384, dim=192, mlp=1024)
