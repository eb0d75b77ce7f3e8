"""Which worker runs what, and what is tried again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hqtrack.evaluation.worker import Job, Outcome

ATTEMPTS = 2
"""A job that failed is given to another worker once."""


class Pool(Protocol):
    """Workers, known by number, each with one job at a time."""

    def workers(self) -> set[int]:
        """Those that can take jobs; a lost one may be replaced under its number, or not."""

    def start(self, worker: int, job: Job) -> None:
        """Start the job on an idle worker."""

    def wait(self) -> tuple[int, Outcome]:
        """Wait for the next worker to be done; the outcome says so where it was lost."""


@dataclass
class _Job:
    """A job and the workers that failed it, once for each time."""

    job: Job
    failed_by: list[int] = field(default_factory=list)


def dispatch(jobs: Sequence[Job], pool: Pool) -> Iterator[tuple[Job, Outcome]]:
    """Run the jobs, first come first served; give the outcome of each when it is final.

    A job that failed goes to another worker, where there is one, before any that has not run.
    """
    pending = [_Job(job) for job in jobs]
    running: dict[int, _Job] = {}
    while pending or running:
        workers = pool.workers()
        for worker in sorted(workers - running.keys()):
            job = _next(worker, pending, alone=len(workers) == 1 or not running)
            if job is not None:
                pending.remove(job)
                running[worker] = job
                pool.start(worker, job.job)
        if not running:
            for job in pending:
                yield job.job, Outcome({}, {}, "no worker is left to run it")
            return
        worker, outcome = pool.wait()
        job = running.pop(worker)
        if outcome.error:
            job.failed_by.append(worker)
            if len(job.failed_by) < ATTEMPTS:
                pending.insert(0, job)
                continue
        yield job.job, outcome


def _next(worker: int, pending: Sequence[_Job], alone: bool) -> _Job | None:
    """What the worker should run: not what it failed, unless nobody else could."""
    fresh = [job for job in pending if worker not in job.failed_by]
    if fresh:
        return fresh[0]
    return pending[0] if pending and alone else None
