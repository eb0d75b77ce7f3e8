"""Assigns jobs to workers, and failed jobs to other workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hqtrack.evaluation.worker import Job, Outcome

ATTEMPTS = 2
"""How often a job is tried: a failed job goes to another worker once."""


class Pool(Protocol):
    """Numbered workers with one job at a time each."""

    def workers(self) -> set[int]:
        """The workers that can run jobs; a lost worker may be replaced under its number, or not."""

    def start(self, worker: int, job: Job) -> None:
        """Start the job on an idle worker."""

    def wait(self) -> tuple[int, Outcome]:
        """Wait until a worker has finished its job; if a worker is lost, the outcome says so."""


@dataclass
class _Job:
    """A job and the worker of each failed attempt."""

    job: Job
    failed_by: list[int] = field(default_factory=list)


def dispatch(jobs: Sequence[Job], pool: Pool) -> Iterator[tuple[Job, Outcome]]:
    """Run the jobs in order; yield the outcome of each job when it is final.

    A failed job goes to another worker, if there is one, before jobs that have not run.
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
    """The worker's next job: one that it has not failed, unless no other worker can run it."""
    fresh = [job for job in pending if worker not in job.failed_by]
    if fresh:
        return fresh[0]
    return pending[0] if pending and alone else None
