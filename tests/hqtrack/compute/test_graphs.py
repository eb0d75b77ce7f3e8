import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from hqtrack.compute.graphs import Recording, Replayed


class Two(NamedTuple):
    twice: Tensor
    square: Tensor


def both(x: Tensor) -> Two:
    return Two(2 * x, x * x)


def nested(pair: tuple[Tensor, tuple[Two, ...]], other: Tensor | None) -> list[Any]:
    x, (two,) = pair
    return [x + two.twice, (None, Two(two.square, x if other is None else other))]


class Recorder:
    """Records as a graph does: always from the same memory, always into the same memory."""

    def __init__(self) -> None:
        self.shapes: list[int] = []
        self.replays = 0

    def __call__(self, function: Callable[..., Two], arguments: tuple[Tensor]) -> Recording:
        (given,) = arguments
        self.shapes.append(len(given))
        outputs = Two(*(torch.full_like(output, torch.nan) for output in function(given)))

        def replay() -> None:
            self.replays += 1
            for kept, output in zip(outputs, function(given), strict=True):
                kept.copy_(output)

        return Recording([given], outputs, replay)


def test_every_call_gives_what_the_function_gives_and_leaves_earlier_results_alone() -> None:
    recorder = Recorder()
    replayed = Replayed(both, recorder)
    inputs = [torch.tensor([value, -value]) for value in (1.0, 2.0, 3.0, 4.0)]
    results = [replayed(x) for x in inputs]
    assert recorder.replays == 3
    for x, result in zip(inputs, results, strict=True):
        assert isinstance(result, Two)
        torch.testing.assert_close(result, both(x))
    assert [x.tolist() for x in inputs] == [[1, -1], [2, -2], [3, -3], [4, -4]]


def test_a_shape_is_recorded_the_second_time_while_it_is_among_the_last_two() -> None:
    recorder = Recorder()
    replayed = Replayed(both, recorder)
    for length in (3, 3, 4, 3, 5, 3, 4, 4, 4):
        replayed(torch.ones(length))
    assert recorder.shapes == [3, 4]


def test_tensors_may_be_nested() -> None:
    """As the memory and the states of a frame are; a `None` is another shape than a tensor."""
    seen = []

    def record(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Recording:
        (x, (two,)), other = arguments
        seen.append(other is None)
        outputs = function(*arguments)
        given = [x, *two, *([] if other is None else [other])]

        def replay() -> None:
            fresh = function(*arguments)
            outputs[0].copy_(fresh[0])
            for kept, output in zip(outputs[1][1], fresh[1][1], strict=True):
                kept.copy_(output)

        return Recording(given, outputs, replay)

    replayed = Replayed(nested, record)
    for value in range(1, 5):
        for other in (None, torch.full((2,), 9.0)):
            x = torch.full((2,), float(value))
            actual, expected = (f((x, (both(x),)), other) for f in (replayed, nested))
            torch.testing.assert_close(actual[0], expected[0])
            assert actual[1][0] is None
            assert isinstance(actual[1][1], Two)
            torch.testing.assert_close(actual[1][1], expected[1][1])
    assert seen == [True, False]


def test_where_a_recording_fails_the_function_itself_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tries = []

    def record(function: Callable[..., Two], arguments: tuple[Tensor]) -> Recording:
        tries.append(arguments)
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    replayed = Replayed(both, record)
    for value in range(4):
        torch.testing.assert_close(replayed(torch.ones(2) * value), both(torch.ones(2) * value))
    assert len(tries) == 1
    said = "hqtrack: no CUDA graph, slower: operation not permitted when stream is capturing\n"
    assert capsys.readouterr().err == said


def test_a_replay_that_keeps_something_of_its_first_frame_is_found_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def record(function: Callable[..., Two], arguments: tuple[Tensor]) -> Recording:
        outputs = function(*arguments)
        return Recording([*arguments], outputs, lambda: None)

    replayed = Replayed(both, record)
    for value in (1.0, 2.0, 3.0, 4.0):
        x = torch.tensor([value])
        torch.testing.assert_close(replayed(x), both(x))
    assert "no CUDA graph, slower: a replay differs by" in capsys.readouterr().err


def test_two_threads_never_record_at_the_same_time() -> None:
    running: list[int] = []
    most = []

    def record(function: Callable[..., Two], arguments: tuple[Tensor]) -> Recording:
        running.append(1)
        time.sleep(0.1)
        most.append(len(running))
        running.pop()
        return Recorder()(function, arguments)

    with ThreadPoolExecutor(4) as pool:
        for replayed in [Replayed(both, record) for _ in range(4)]:
            pool.submit(lambda call=replayed: [call(torch.ones(2)) for _ in range(2)])
    assert most == [1, 1, 1, 1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_gives_what_the_function_gives(capsys: pytest.CaptureFixture[str]) -> None:
    replayed = Replayed(both)
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
        for value in (1.0, 2.0, 3.0, 4.0):
            x = torch.full((5,), value, device="cuda")
            torch.testing.assert_close(replayed(x), both(x))
    assert not capsys.readouterr().err
