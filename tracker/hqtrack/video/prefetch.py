"""Computes items in advance in a thread, to decode frames while earlier ones are tracked."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_AHEAD = 2


def read_ahead(items: Iterable[Item], ahead: int = _AHEAD) -> Iterator[Item]:
    """The same items in the same order; up to ``ahead`` of them are computed in advance.

    An exception in an item is raised at the place of that item. One thread computes the items one
    at a time. If the caller stops early, it waits for the items in progress.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, "ahead") as worker:
        waiting = deque(worker.submit(next, iterator, end) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(worker.submit(next, iterator, end))
            yield item  # type: ignore[misc]
