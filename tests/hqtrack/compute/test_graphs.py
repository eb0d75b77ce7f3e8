from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from hqtrack.compute.graphs import Recording, Replayed


class Two(NamedTuple):
    twice: Tensor
    square: Tensor


def both(x: Tensor) -> Two:
    return Two(2 * x, x * x)


class Recorder:
    """Records as a graph does: always from the same memory, always into the same memory."""

    def __init__(self) -> None:
        self.shapes: list[int] = []

    def __call__(self, function: Callable[[Tensor], Two], given: Tensor) -> Recording:
        self.shapes.append(len(given))
        outputs = Two(*(torch.full_like(output, torch.nan) for output in function(given)))

        def replay() -> None:
            for kept, output in zip(outputs, function(given), strict=True):
                kept.copy_(output)

        return Recording(given, outputs, replay)


def test_every_call_gives_what_the_function_gives_and_leaves_earlier_results_alone() -> None:
    replayed = Replayed(both, Recorder())
    inputs = [torch.tensor([value, -value]) for value in (1.0, 2.0, 3.0)]
    results = [replayed(x) for x in inputs]
    for x, result in zip(inputs, results, strict=True):
        assert isinstance(result, Two)
        torch.testing.assert_close(result, both(x))
    assert [x.tolist() for x in inputs] == [[1, -1], [2, -2], [3, -3]]


def test_a_shape_is_recorded_once_while_it_is_among_the_last_two() -> None:
    recorder = Recorder()
    replayed = Replayed(both, recorder)
    for length in (3, 3, 4, 3, 5, 3, 4):
        replayed(torch.ones(length))
    assert recorder.shapes == [3, 4, 5, 4]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_gives_what_the_function_gives() -> None:
    replayed = Replayed(both)
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
        for value in (1.0, 2.0):
            x = torch.full((5,), value, device="cuda")
            torch.testing.assert_close(replayed(x), both(x))
