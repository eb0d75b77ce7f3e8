"""What `hqtrack.edges` does to labels, on tensors: for labels that are on a GPU.

All places and pixels are computed, not only those near edges, and no function waits for the device.
The labels are the same but for a few pixels in a million, where the device rounds otherwise.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from hqtrack.edges import REACH, SIDE, SOFTNESS, squares_of
from vmos.ops import resize


def is_faster_on(device: torch.device) -> bool:
    """Whether labels on this device had better stay there."""
    return device.type != "cpu"


def follow_image(labels: Tensor, found: Tensor, image: Tensor) -> Tensor:
    """See `hqtrack.edges.follow_image`: labels [H,W], found [N,h,w] and image [H,W,3] uint8."""
    most_probable = _most_probable(found)
    numbers = torch.arange(1, len(found) + 1, device=found.device)
    masks = most_probable == numbers[:, None, None]
    rims = _rims(masks)
    rows, columns = (
        _nearest(places, pixels, found.device)
        for places, pixels in zip(found.shape[1:], labels.shape, strict=True)
    )
    guide = _guide_of(image, found.shape[1:])
    best, together = torch.zeros((2, *labels.shape), device=found.device)
    chosen = torch.zeros_like(labels)
    for number, (values, rim) in enumerate(zip(found, rims, strict=True), start=1):
        near = rim[rows[:, None], columns]
        probability = _filtered(values, guide)
        together = together + torch.where(near, probability, 0)
        better = near & (probability > best)
        best = torch.where(better, probability, best)
        chosen.masked_fill_(better, number)
    chosen.masked_fill_(1 - together >= best, 0)
    decided = F.pad(masks.flatten(1).any(dim=1), (1, 0), value=True)[labels.long()]
    decided &= rims.any(dim=0)[rows[:, None], columns]
    return torch.where(decided, chosen, labels)


class _Guide(NamedTuple):
    """What the filter knows of an image.

    Attributes:
        image: [3,H,W] in [0, 1].
        colours: [3,h,w] of the places in [0, 1].
        means: [3,h,w], of the colours around each place.
        inverse: [3,3,h,w], of the covariance of the colours around each place.
    """

    image: Tensor
    colours: Tensor
    means: Tensor
    inverse: Tensor


def _guide_of(image: Tensor, size: Sequence[int]) -> _Guide:
    """What the filter with (h, w) places knows of an image [H,W,3]; OpenCV keeps grey levels."""
    planes = image.permute(2, 0, 1).float()
    smooth = _blur(planes, *squares_of(size, planes.shape[1:])).round()
    colours = resize(smooth[None], size)[0].round() / 255
    means = _mean(colours)
    covariance = _mean((colours[:, None] * colours).flatten(0, 1)).unflatten(0, (3, 3))
    softness = SOFTNESS * torch.eye(3, device=image.device)[..., None, None]
    return _Guide(
        planes / 255, colours, means, _inverse(covariance - means[:, None] * means + softness)
    )


def _filtered(values: Tensor, guide: _Guide) -> Tensor:
    """Values [h,w] at all pixels of the image [H,W], with its edges."""
    mean = _mean(values[None])
    shared = _mean(values * guide.colours) - mean * guide.means
    factors = (guide.inverse * shared).sum(dim=1)
    constant = mean - (factors * guide.means).sum(dim=0)
    functions = _mean(torch.cat([factors, constant]))
    functions = resize(functions[None], guide.image.shape[1:])[0]
    return (functions[:3] * guide.image).sum(dim=0) + functions[3]


def _inverse(matrix: Tensor) -> Tensor:
    """The inverse of symmetric [3,3,h,w] at each place."""
    others = matrix.roll(-1, dims=0), matrix.roll(-2, dims=0)
    adjoint = torch.linalg.cross(*others, dim=1)
    return adjoint / (matrix[0] * adjoint[0]).sum(dim=0)


def _most_probable(found: Tensor) -> Tensor:
    """The number of the most probable object at each place, n + 1 for object n; 0 for none."""
    candidates = torch.cat([1 - found.sum(dim=0, keepdim=True), found])
    return candidates.argmax(dim=0)


def _rims(masks: Tensor) -> Tensor:
    """The places near the edge of each mask [N,h,w], in it or outside."""
    side = 2 * REACH + 1
    inside = masks.float()
    largest, least = (F.max_pool2d(each, side, 1, REACH) for each in (inside, -inside))
    return largest > -least


def _nearest(places: int, pixels: int, device: torch.device) -> Tensor:
    """The nearest line of places to each line of pixels."""
    step = (places - 1) / max(pixels - 1, 1)
    return (torch.arange(pixels, dtype=torch.float64, device=device) * step).round().long()


def _mean(planes: Tensor) -> Tensor:
    """The means of planes [C,h,w] over the square around each place."""
    return _blur(planes, SIDE // 2, SIDE // 2)


def _blur(planes: Tensor, down: int, across: int) -> Tensor:
    """The means of planes [C,h,w] over rectangles that reach so far, mirrored at the border."""
    for reach, turned in ((down, True), (across, False)):
        if reach:
            lines = planes.mT if turned else planes
            mirrored = _mirrored(lines, reach)
            blurred = F.avg_pool1d(mirrored.flatten(0, -2)[None], 2 * reach + 1, 1)[0]
            blurred = blurred.view(lines.shape)
            planes = blurred.mT if turned else blurred
    return planes


def _mirrored(lines: Tensor, reach: int) -> Tensor:
    """Lines [...,n] with so many more elements at both ends, as in a mirror on the last one."""
    length = lines.shape[-1]
    period = max(2 * (length - 1), 1)
    places = torch.arange(-reach, length + reach, device=lines.device) % period
    return lines[..., torch.minimum(places, period - places) % length]
