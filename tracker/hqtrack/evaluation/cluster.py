"""Workers in Ray processes, on this machine or on a cluster."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hqtrack.compute.threads import threads_for
from hqtrack.environment import Variable
from hqtrack.errors import InputError
from hqtrack.evaluation.worker import Job, Outcome, Worker

_CONNECT_SECONDS = 5.0


class WorkerSpec(NamedTuple):
    """The requirements of a worker: Ray's resources, and the environment of its trackers."""

    cpus: float
    gpus: float
    environment: dict[str, str]


class RayPool:
    """A ``hqtrack.evaluation.dispatch.Pool`` of Ray actors."""

    def __init__(
        self,
        ray: Any,
        workspace: Path,
        trackers: Sequence[str],
        specs: Sequence[WorkerSpec],
        local: bool,
    ) -> None:
        """Start a worker per spec.

        A lost worker is replaced only if the pool is ``local``: in a cluster, its machine may be
        lost, too.
        """
        self._ray = ray
        self._arguments = (workspace.absolute(), list(trackers))
        self._specs = specs
        self._local = local
        self._actors = {number: self._start_worker(number) for number in range(len(specs))}
        self._running: dict[Any, int] = {}

    def workers(self) -> set[int]:
        """The numbers of the workers that are not lost."""
        return set(self._actors)

    def start(self, worker: int, job: Job) -> None:
        """Start the job on an idle worker."""
        self._running[self._actors[worker].run.remote(job)] = worker

    def wait(self) -> tuple[int, Outcome]:
        """Wait until a worker has finished its job."""
        (done, *_), _ = self._ray.wait(list(self._running))
        worker = self._running.pop(done)
        try:
            return worker, self._ray.get(done)
        except self._ray.exceptions.RayError as error:
            del self._actors[worker]
            if self._local:
                self._actors[worker] = self._start_worker(worker)
            return worker, Outcome({}, {}, f"the worker was lost: {_reason(error)}", str(error))

    def _start_worker(self, number: int) -> Any:
        spec = self._specs[number]
        options = {"num_cpus": spec.cpus, "num_gpus": spec.gpus, "scheduling_strategy": "SPREAD"}
        actor = self._ray.remote(Worker).options(**options)
        # each worker has its own resident process
        environment = {**spec.environment, Variable.WORKER: str(number)}
        return actor.remote(*self._arguments, environment)


def _reason(error: Exception) -> str:
    """The last line that is not blank."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@contextmanager
def connected(address: str | None, workers: int) -> Iterator[Any]:
    """The module ray, connected to a cluster, or without an address to a new local one.

    Raises InputError if Ray is not installed or does not respond.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # otherwise Ray would hide the GPUs from a worker that reserves none
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError:
        raise InputError(
            "hqtrack evaluate needs Ray, which is not installed: pip install 'ray>=2.50'"
        ) from None
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init("local", num_cpus=workers, include_dashboard=False, **options)
        else:
            _check_answers(address)
            ray.init(address, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"cannot start Ray at {address or 'this machine'}: {error}; start a cluster with "
            "`ray start --head`"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise InputError if nothing listens at the address; Ray itself would try for a long time."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise InputError(
            f"nothing responds at the Ray address {address} ({error}): start Ray there with "
            "`ray start --head`, or omit --address to use only this machine"
        ) from error


def local_workers(devices: str | None, tasks: int) -> list[WorkerSpec]:
    """The workers on this machine: one per device, but not more than there are tasks.

    Workers on the CPU share its cores. Raises InputError for a device that does not exist.
    """
    from hqtrack.build import choose_device

    if devices is None:
        names = _all_devices()
    else:
        names = [name.strip() for name in devices.split(",")]
        for name in sorted(set(names)):
            choose_device(name)
    names = names[:tasks]
    threads = str(threads_for(len(names)))
    return [WorkerSpec(1, 0, {Variable.DEVICE: name, "OMP_NUM_THREADS": threads}) for name in names]


def _all_devices() -> list[str]:
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]


def cluster_workers(
    devices: str | None, resources: dict[str, float], tasks: int
) -> list[WorkerSpec]:
    """The workers in a cluster with these resources; by default one per GPU.

    Raises InputError for devices that the cluster does not have.
    """
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    names = ["cuda"] * gpus or ["cpu"]
    if devices is not None:
        names = [name.strip() for name in devices.split(",")]
    unknown = sorted(set(names) - {"cuda", "cpu"})
    if unknown:
        raise InputError(
            f"--devices {','.join(unknown)} with --address: in a cluster Ray chooses the devices; "
            "give cuda or cpu, once for each worker"
        )
    if names.count("cuda") > gpus or len(names) > cpus:
        raise InputError(
            f"--devices asks for {names.count('cuda')} GPUs and {len(names)} CPU cores, and the "
            f"cluster has {gpus} and {cpus}: give fewer"
        )
    return [WorkerSpec(1, name == "cuda", {Variable.DEVICE: name}) for name in names[:tasks]]
