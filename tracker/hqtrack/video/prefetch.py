"""Making things before they are asked for, in a thread: frames are decoded while others track."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_AHEAD = 2


def read_ahead(items: Iterable[Item], ahead: int = _AHEAD) -> Iterator[Item]:
    """The same items in the same order, of which up to ``ahead`` are made early.

    What goes wrong while an item is made is raised where it would have come. Items are made one at
    a time, on one thread; who stops early waits for those that were begun.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, "ahead") as worker:
        waiting = deque(worker.submit(next, iterator, end) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(worker.submit(next, iterator, end))
            yield item  # type: ignore[misc]
