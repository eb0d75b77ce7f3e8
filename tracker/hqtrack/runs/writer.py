"""Writes behind the tracking: jobs in a thread, in their order, a few at most ahead of it."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from hqtrack.signals import uninterrupted

_WAITING = 2
"""Jobs that may be unfinished; each holds the image and the masks of a frame."""


class WriterThread:
    """Carries out jobs one after the other in a thread; a context manager.

    Leaving it waits for the jobs that are left, also after an error and in spite of a signal: what
    was put is written. After a job that failed, no other one is carried out, so whatever is written
    is what the same jobs would have written in the caller's thread up to there.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writer")
        self._unfinished: deque[Future[None]] = deque()
        self._error: BaseException | None = None

    def put(self, job: Callable[[], None]) -> None:
        """Carry out a job after the earlier ones; waits while too many are unfinished.

        Raises the error of an earlier job, and then does not take this one.
        """
        with uninterrupted():
            if len(self._unfinished) == _WAITING:
                self._unfinished.popleft().result()
            if self._error is not None:
                raise self._error
            self._unfinished.append(self._thread.submit(self._carry_out, job))

    def _carry_out(self, job: Callable[[], None]) -> None:
        if self._error is not None:
            return
        try:
            job()
        except BaseException as error:
            self._error = error

    def __enter__(self) -> "WriterThread":
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for all jobs; raise the error of one, which came first, instead of another error.

        An interruption stays what it is.
        """
        with uninterrupted():
            self._thread.shutdown()
        if self._error not in (None, error) and (error is None or isinstance(error, Exception)):
            raise self._error
