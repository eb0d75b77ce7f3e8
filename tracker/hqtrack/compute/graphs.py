"""CUDA graphs: all kernels that a network launches, recorded per shape and replayed at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Outputs = Any
"""A named tuple of tensors."""

_KEPT = 2
_REHEARSALS = 2


class Recording(NamedTuple):
    """A computation on fixed memory; ``replay`` computes ``outputs`` anew from ``given``."""

    given: Tensor
    outputs: Outputs
    replay: Callable[[], object]


class Replayed:
    """A function from a tensor to a named tuple of tensors that is recorded once per shape.

    The recordings of the last two shapes are kept, so that a video of another size is recorded on
    its first frame. What it gives belongs to the caller.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Outputs],
        record: "Callable[[Callable[[Tensor], Outputs], Tensor], Recording] | None" = None,
    ) -> None:
        """``record``: how a function is recorded; as a CUDA graph unless given."""
        self._function = function
        self._record = record or record_graph
        self._recordings: dict[tuple[object, ...], Recording] = {}

    def __call__(self, x: Tensor) -> Outputs:
        """The function of ``x``."""
        key = (x.shape, x.dtype, x.device)
        recording = self._recordings.pop(key, None)
        if recording is None:
            if len(self._recordings) == _KEPT:
                del self._recordings[next(iter(self._recordings))]
            recording = self._record(self._function, x.clone())
        self._recordings[key] = recording
        recording.given.copy_(x)
        recording.replay()
        return type(recording.outputs)(*(output.clone() for output in recording.outputs))


def record_graph(function: Callable[[Tensor], Outputs], given: Tensor) -> Recording:
    """Record what a function launches for this tensor, whose memory the recording keeps."""
    cached = torch.is_autocast_cache_enabled()
    # a weight cast for autocast's cache would be freed while the graph still reads it
    torch.set_autocast_cache_enabled(False)
    try:
        beside = torch.cuda.Stream(given.device)
        beside.wait_stream(torch.cuda.current_stream(given.device))
        with torch.cuda.stream(beside):
            for _ in range(_REHEARSALS):
                function(given)
        beside.synchronize()
        graph = torch.cuda.CUDAGraph()
        # another thread may launch in the meantime
        with torch.cuda.graph(graph, stream=beside, capture_error_mode="thread_local"):
            outputs = function(given)
    finally:
        torch.set_autocast_cache_enabled(cached)
    return Recording(given, outputs, graph.replay)
