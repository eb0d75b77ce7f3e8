from collections import deque

import pytest

from hqtrack.evaluation.dispatch import dispatch
from hqtrack.evaluation.worker import Job, Outcome

A, B, C = (Job("tracker", "baseline", name) for name in "abc")
FINE, FAILED = Outcome({}, {}), Outcome({}, {}, "failed")


class FakePool:
    """Workers that are done in the order in which they started; some of them fail."""

    def __init__(self, workers: int, failing: set[tuple[int, Job]], lost: set[int]) -> None:
        self._workers = set(range(workers))
        self._failing = failing
        self._lost = lost
        self._running: deque[tuple[int, Job]] = deque()
        self.started: list[tuple[int, Job]] = []

    def workers(self) -> set[int]:
        return self._workers

    def start(self, worker: int, job: Job) -> None:
        assert worker not in [number for number, _ in self._running]
        self._running.append((worker, job))
        self.started.append((worker, job))

    def wait(self) -> tuple[int, Outcome]:
        worker, job = self._running.popleft()
        if worker in self._lost:
            self._workers -= {worker}
            return worker, FAILED
        return worker, FAILED if (worker, job) in self._failing else FINE


@pytest.mark.parametrize(
    ("workers", "failing", "lost", "started", "failed"),
    [
        (1, set(), set(), [(0, A), (0, B), (0, C)], []),
        (2, set(), set(), [(0, A), (1, B), (0, C)], []),
        # to the other worker, before C, which nobody ran yet
        (2, {(0, A)}, set(), [(0, A), (1, B), (0, C), (1, A)], []),
        (2, {(0, A), (1, A)}, set(), [(0, A), (1, B), (0, C), (1, A)], [A]),
        # nobody else is there
        (1, {(0, A)}, set(), [(0, A), (0, B), (0, C), (0, A)], [A]),
        (2, set(), {0}, [(0, A), (1, B), (1, A), (1, C)], []),
        (2, set(), {0, 1}, [(0, A), (1, B)], [A, B, C]),
        (0, set(), set(), [], [A, B, C]),
    ],
)
def test_who_runs_what(
    workers: int,
    failing: set[tuple[int, Job]],
    lost: set[int],
    started: list[tuple[int, Job]],
    failed: list[Job],
) -> None:
    pool = FakePool(workers, failing, lost)
    outcomes = dict(dispatch([A, B, C], pool))
    assert pool.started == started
    assert set(outcomes) == {A, B, C}
    assert [job for job, outcome in sorted(outcomes.items()) if outcome.error] == failed
