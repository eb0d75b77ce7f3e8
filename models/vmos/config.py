"""The sizes of a VMOS: by default the released HQTrack model; also the light one."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VMOSConfig:
    """Sizes of a video multi-object segmenter (HQTrack, Video Multi-object Segmenter).

    The encoder works at three strides: `stride` (the head), twice that (fine propagation) and
    four times that (coarse propagation). Its first three levels have one stride each; further
    levels keep the coarse stride.

    Attributes:
        objects: objects per pass; more objects are tracked in groups of this size.
        stride: input pixels per pixel of the finest feature map, 2 or 4.
        encoder_widths: channels per encoder level, at least three levels; equal from the third on.
        encoder_depths: blocks per encoder level.
        encoder_groups: DCNv3 groups per encoder level; each divides the level's width.
        widths: channels of the head, of fine and of coarse propagation.
        coarse_layers: gated propagation layers at the coarse stride; the fine stride has one.
        window_radius: reach of short-term attention in feature pixels, each way.
        norm_groups: groups of the group norms between the strides; divides every width.
    """

    objects: int = 10
    stride: int = 4
    encoder_widths: tuple[int, ...] = (64, 128, 256, 256)
    encoder_depths: tuple[int, ...] = (4, 4, 18, 4)
    encoder_groups: tuple[int, ...] = (4, 8, 16, 32)
    widths: tuple[int, int, int] = (64, 128, 256)
    coarse_layers: int = 3
    window_radius: int = 7
    norm_groups: int = 8

    def __post_init__(self) -> None:
        """Raise ValueError if the sizes do not fit together."""
        levels = len(self.encoder_widths)
        if levels < 3 or {levels} != {len(self.encoder_depths), len(self.encoder_groups)}:
            raise ValueError(
                "encoder_widths, encoder_depths and encoder_groups need one entry per level and "
                f"at least three levels, not {self.encoder_widths}, {self.encoder_depths}, "
                f"{self.encoder_groups}"
            )
        sizes = (self.objects, self.coarse_layers, self.window_radius, self.norm_groups)
        encoder = self.encoder_widths + self.encoder_depths + self.encoder_groups
        if min(sizes + encoder + self.widths) < 1:
            raise ValueError(f"all sizes must be at least 1: {self}")
        if len(set(self.encoder_widths[2:])) > 1:
            raise ValueError(
                f"levels from the third on share a stride and need one width: {self.encoder_widths}"
            )
        if self.stride not in (2, 4):
            raise ValueError(f"stride is 2 or 4, not {self.stride}")
        pairs = zip(self.encoder_widths, self.encoder_groups, strict=True)
        if any(width % groups for width, groups in pairs):
            raise ValueError(
                f"encoder_groups {self.encoder_groups} must divide {self.encoder_widths}"
            )
        if any(width % self.norm_groups or width % 2 for width in self.widths):
            raise ValueError(
                f"widths {self.widths} must be even and multiples of norm_groups {self.norm_groups}"
            )

    @property
    def fine_stride(self) -> int:
        """Input pixels per pixel of the fine propagation."""
        return 2 * self.stride

    @property
    def coarse_stride(self) -> int:
        """Input pixels per pixel of the coarse propagation; sides are a multiple of it plus 1."""
        return 4 * self.stride


LIGHT_VMOS = VMOSConfig(
    stride=2,
    encoder_widths=(32, 64, 128),
    encoder_depths=(1, 2, 10),
    encoder_groups=(2, 4, 8),
    widths=(16, 32, 64),
    coarse_layers=2,
    norm_groups=8,
)
"""The network of the light tracker."""
