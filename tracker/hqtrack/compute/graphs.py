"""CUDA graphs: records all kernel launches of a network per shape, and replays them together."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Outputs = Any
"""A named tuple of tensors."""

_KEPT = 2
_REHEARSALS = 2


class Recording(NamedTuple):
    """A computation on fixed memory; ``replay`` recomputes ``outputs`` from ``given``."""

    given: Tensor
    outputs: Outputs
    replay: Callable[[], object]


class Replayed:
    """A function from a tensor to a named tuple of tensors, recorded once per shape.

    It keeps the recordings of the last two shapes and records a new shape on its first frame. The
    caller owns the returned tensors.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Outputs],
        record: "Callable[[Callable[[Tensor], Outputs], Tensor], Recording] | None" = None,
    ) -> None:
        """``record`` records a function, by default as a CUDA graph."""
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
    """Record what a function launches for ``given``; the recording keeps that tensor's memory."""
    cached = torch.is_autocast_cache_enabled()
    # autocast's cache would free a converted weight while the graph still reads it
    torch.set_autocast_cache_enabled(False)
    try:
        side = torch.cuda.Stream(given.device)
        side.wait_stream(torch.cuda.current_stream(given.device))
        with torch.cuda.stream(side):
            for _ in range(_REHEARSALS):
                function(given)
        side.synchronize()
        graph = torch.cuda.CUDAGraph()
        # another thread may launch kernels during the recording
        with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
            outputs = function(given)
    finally:
        torch.set_autocast_cache_enabled(cached)
    return Recording(given, outputs, graph.replay)
