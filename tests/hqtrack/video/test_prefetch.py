import threading
from collections.abc import Iterator

import pytest

from hqtrack.video.prefetch import read_ahead


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_all_come_in_order(count: int) -> None:
    assert list(read_ahead(range(count))) == list(range(count))


def test_two_are_made_before_they_are_asked_for_and_no_more() -> None:
    made: list[int] = []
    third = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    frames = read_ahead(items())
    assert next(frames) == 0
    assert third.wait(30)
    assert made == [0, 1, 2]
    frames.close()  # type: ignore[attr-defined]
    assert made == [0, 1, 2]


def test_they_are_made_on_another_thread() -> None:
    threads = set(read_ahead(threading.get_ident() for _ in range(5)))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_errors_come_where_they_belong() -> None:
    frames = read_ahead(1 / number for number in (1, 2, 0, 4))
    assert [next(frames), next(frames)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(frames)
    assert list(frames) == []


def test_who_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    for _ in read_ahead(range(100)):
        break
    assert threading.active_count() == before
