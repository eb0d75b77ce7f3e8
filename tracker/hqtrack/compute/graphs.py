"""CUDA graphs: records all kernel launches of a network per shape, and replays them together."""

import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hqtrack.compute.trial import relative_error
from hqtrack.errors import one_line

_KEPT = 2
_REHEARSALS = 2
_TOLERANCE = 0.01
"""A replay may be this far from the function, relative to the norm of its result."""

_recording = threading.Lock()
"""A recording synchronizes the device, which it cannot do while another thread records."""

Nested = Any
"""A tensor, None, or a list or (named) tuple of such."""


class Recording(NamedTuple):
    """A computation on fixed memory; ``replay`` recomputes ``outputs`` from ``given``."""

    given: list[Tensor]
    outputs: Nested
    replay: Callable[[], object]


Record = Callable[[Callable[..., Any], tuple[Nested, ...]], Recording]
"""Records a function of these arguments."""


class Replayed:
    """A function of nested tuples of tensors that is recorded per shape and then replayed.

    The first call for some shapes runs the function itself, the second one records it. It keeps the
    recordings of the last two shapes. The caller owns the returned tensors. Where a recording
    fails, or the first replay of other inputs differs from the function, a line on stderr says so,
    and the function itself runs from then on.
    """

    def __init__(self, function: Callable[..., Any], record: Record | None = None) -> None:
        """``record`` records a function, by default as a CUDA graph."""
        self._function = function
        self._record = record or Recorder()
        self._recordings: dict[object, Recording | None] = {}
        self._trusted: set[object] = set()
        self._fails = False

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself."""
        return self._function

    def __call__(self, *arguments: Nested) -> Any:
        """The function of these arguments."""
        if self._fails:
            return self._function(*arguments)
        key = _shape(arguments)
        met, recording = key in self._recordings, self._recordings.pop(key, None)
        fresh = met and recording is None
        if fresh:
            recording = self._recorded(arguments)
        self._recordings[key] = recording
        if len(self._recordings) > _KEPT:
            del self._recordings[next(iter(self._recordings))]
        self._trusted &= self._recordings.keys()
        if recording is None:
            return self._function(*arguments)
        torch._foreach_copy_(recording.given, _tensors(arguments))
        recording.replay()
        outputs = _mapped(torch.clone, recording.outputs)
        return outputs if fresh or key in self._trusted else self._tried(key, arguments, outputs)

    def _recorded(self, arguments: tuple[Nested, ...]) -> Recording | None:
        try:
            with _recording:
                return self._record(self._function, _mapped(torch.clone, arguments))
        except RuntimeError as error:  # also for too little memory
            self._give_up(one_line(error))
            return None

    def _tried(self, key: object, arguments: tuple[Nested, ...], outputs: Nested) -> Any:
        """The outputs of a replay if they are those of the function, else those of the function."""
        expected = self._function(*arguments)
        pairs = zip(_tensors(outputs), _tensors(expected), strict=True)
        error = max(relative_error(ours, theirs) for ours, theirs in pairs)
        if error <= _TOLERANCE:
            self._trusted.add(key)
            return outputs
        self._give_up(f"a replay differs by {error:.1%}")
        return expected

    def _give_up(self, reason: str) -> None:
        self._fails = True
        self._recordings.clear()
        print(f"hqtrack: no CUDA graph, slower: {reason}", file=sys.stderr)


class Recorder:
    """Records CUDA graphs, which share the memory of what they compute in between.

    So recordings of one recorder must not run at the same time. A graph has the priority of the
    stream that is current while it is recorded.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, function: Callable[..., Any], arguments: tuple[Nested, ...]) -> Recording:
        """Record what a function launches; the recording keeps the memory of the arguments."""
        given = _tensors(arguments)
        device = given[0].device
        cached = torch.is_autocast_cache_enabled()
        # autocast's cache would free a converted weight while the graph still reads it
        torch.set_autocast_cache_enabled(False)
        try:
            with torch.cuda.device(device):
                current = torch.cuda.current_stream(device)
                side = torch.cuda.Stream(device, priority=current.priority)
                side.wait_stream(current)
                with torch.cuda.stream(side):
                    for _ in range(_REHEARSALS):
                        function(*arguments)
                side.synchronize()
                self._pool = self._pool or torch.cuda.graph_pool_handle()
                graph = torch.cuda.CUDAGraph()
                # another thread may launch kernels during the recording
                mode = "thread_local"
                with torch.cuda.graph(graph, self._pool, side, capture_error_mode=mode):
                    outputs = function(*arguments)
        finally:
            torch.set_autocast_cache_enabled(cached)
        return Recording(given, outputs, graph.replay)


def _tensors(nested: Nested) -> list[Tensor]:
    """All tensors in it, in a fixed order."""
    if nested is None or isinstance(nested, Tensor):
        return [] if nested is None else [nested]
    return [tensor for part in nested for tensor in _tensors(part)]


def _shape(nested: Nested) -> object:
    """How its tensors are nested, and their shapes, types and devices; hashable."""
    if nested is None or isinstance(nested, Tensor):
        return None if nested is None else (nested.shape, nested.dtype, nested.device)
    return tuple(_shape(part) for part in nested)


def _mapped(function: Callable[[Tensor], Tensor], nested: Nested) -> Any:
    """The same nesting with a function of each tensor."""
    if nested is None or isinstance(nested, Tensor):
        return None if nested is None else function(nested)
    parts = [_mapped(function, part) for part in nested]
    kind = type(nested)
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
