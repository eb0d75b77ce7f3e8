"""The work of a frame, computed once: `benchmarks.tensors` needs minutes for it."""

from collections.abc import Mapping
from typing import NamedTuple


class Work(NamedTuple):
    """10^12 floating-point operations of convolutions and products.

    `attention`: those of the scores and of the weighted values in SAM's attention, separately,
    because some counters leave them out.
    """

    products: float
    attention: float = 0.0

    @property
    def all(self) -> float:
        """Both together."""
        return self.products + self.attention


FULL_HD = {
    "encode": Work(0.119),
    "propagate": Work(1.152),
    "memorize": Work(0.010),
    "SAM-encode": Work(5.492, 0.481),
    "SAM-decode": Work(0.042),
}
"""Of the full tracker with ViT-H: 1920x1080, five objects, six frames in long-term memory."""


def share(work: Mapping[str, Work], ms: float, throughput: float) -> float:
    """The share of the roofline.

    Args:
        work: of the parts of a frame.
        ms: the milliseconds that it took.
        throughput: operations per second of a large matrix product.
    """
    return 1000 * 1e12 * sum(part.all for part in work.values()) / throughput / ms
