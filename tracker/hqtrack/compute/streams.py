"""The CUDA stream of a tracker."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

URGENT = -1
"""The priority of many small kernels beside products that fill the GPU, whose priority is 0."""


class Lane:
    """Calls on a stream of high priority, in the order in which they were made.

    What the caller launched before is ready inside, and what was launched inside is ready for the
    caller afterwards. On a CPU this does nothing.
    """

    def __init__(self, device: torch.device) -> None:
        on_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device, priority=URGENT) if on_gpu else None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """A context whose current device and stream are those of the lane."""
        if self._stream is None:
            yield
            return
        outside = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(outside)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            outside.wait_stream(self._stream)
