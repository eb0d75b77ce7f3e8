"""What a VMOS is made of: the released HQTrack model by default, or the light one."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, TypeAlias


@dataclass(frozen=True)
class InternImageConfig:
    """Sizes of an InternImage.

    Its first three levels have one stride each, further levels stay at the coarse one.

    Attributes:
        stride: input pixels per pixel of the finest feature map, 2 or 4.
        widths: channels per level, at least three; from the third level on equal.
        depths: blocks per level.
        groups: DCNv3 groups per level; each divides the level's width.
    """

    stride: int = 4
    widths: tuple[int, ...] = (64, 128, 256, 256)
    depths: tuple[int, ...] = (4, 4, 18, 4)
    groups: tuple[int, ...] = (4, 8, 16, 32)

    def __post_init__(self) -> None:
        """Raise ValueError where the sizes do not fit together."""
        levels = len(self.widths)
        if levels < 3 or {levels} != {len(self.depths), len(self.groups)}:
            raise ValueError(
                "the encoder's widths, depths and groups need one entry per level and at least "
                f"three levels, not {self.widths}, {self.depths}, {self.groups}"
            )
        if min(self.widths + self.depths + self.groups) < 1:
            raise ValueError(f"all sizes must be at least 1: {self}")
        if len(set(self.widths[2:])) > 1:
            raise ValueError(
                f"levels from the third on share a stride and need one width: {self.widths}"
            )
        if self.stride not in (2, 4):
            raise ValueError(f"stride is 2 or 4, not {self.stride}")
        if any(width % groups for width, groups in zip(self.widths, self.groups, strict=True)):
            raise ValueError(f"the encoder's groups {self.groups} must divide {self.widths}")


@dataclass(frozen=True)
class TimmConfig:
    """An image classifier of timm, of which the part up to stride 16 or 32 is the encoder.

    Attributes:
        name: what timm calls it. It has features at strides 4, 8, 16 and 32 and batch norms right
            after its convolutions, which become part of these.
        context: whether the feature at stride 32, which knows best what things are, is added to
            the one at stride 16; without it the encoder ends there.
    """

    name: str = "tf_efficientnet_lite0"
    context: bool = False
    stride: ClassVar[int] = 4


EncoderConfig: TypeAlias = InternImageConfig | TimmConfig


@dataclass(frozen=True)
class VMOSConfig:
    """Sizes of a video multi-object segmenter (HQTrack, Video Multi-object Segmenter).

    The encoder works at three strides: that of its finest features (the head), twice that (fine
    propagation) and four times that (coarse propagation).

    Attributes:
        objects: objects that one pass follows; more are followed in groups of this many.
        encoder: the image encoder and its sizes.
        widths: channels of the head, of fine and of coarse propagation.
        coarse_layers: gated propagation layers at the coarse stride; the fine stride has one.
        window_radius: reach of short-term attention in feature pixels, each way.
        norm_groups: groups of the group norms between the strides; divides every width.
        joined: whether fine propagation sees the coarse feature of the encoder, too, enlarged.
        fine_identity: whether objects are embedded at the fine stride for fine propagation; the
            released model embeds them at the coarse stride and enlarges.
    """

    objects: int = 10
    encoder: EncoderConfig = field(default_factory=InternImageConfig)
    widths: tuple[int, int, int] = (64, 128, 256)
    coarse_layers: int = 3
    window_radius: int = 7
    norm_groups: int = 8
    joined: bool = False
    fine_identity: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError where the sizes do not fit together."""
        sizes = (self.objects, self.coarse_layers, self.window_radius, self.norm_groups)
        if min(sizes + self.widths) < 1:
            raise ValueError(f"all sizes must be at least 1: {self}")
        if any(width % self.norm_groups or width % 2 for width in self.widths):
            raise ValueError(
                f"widths {self.widths} must be even and multiples of norm_groups {self.norm_groups}"
            )

    @property
    def stride(self) -> int:
        """Input pixels per pixel of the head."""
        return self.encoder.stride

    @property
    def fine_stride(self) -> int:
        """Input pixels per pixel of the fine propagation."""
        return 2 * self.stride

    @property
    def coarse_stride(self) -> int:
        """Input pixels per pixel of the coarse propagation; inputs are a multiple of it plus 1."""
        return 4 * self.stride

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, for a file; see `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "VMOSConfig":
        """A configuration of fields that may come from a JSON file; absent ones are the defaults.

        An encoder with a `name` is one of timm, any other an InternImage.

        Raises:
            ValueError: the sizes do not fit together.
            TypeError: there is no such field.
        """
        fields = _with_tuples(values)
        if "encoder" in fields:
            encoder = _with_tuples(fields["encoder"])
            kind = TimmConfig if "name" in encoder else InternImageConfig
            fields["encoder"] = kind(**encoder)
        return cls(**fields)


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with tuples in place of lists, which is what JSON makes of them."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


LIGHT_VMOS = VMOSConfig(
    encoder=TimmConfig("tf_efficientnet_lite0", context=True),
    widths=(32, 64, 128),
    coarse_layers=2,
    norm_groups=8,
    joined=True,
    fine_identity=True,
)
"""The network of the light tracker."""
