"""How many workers a cluster or this machine gets."""

import pytest

from hqtrack.evaluation.cluster import WorkerSpec, cluster_workers, local_workers


def test_a_cluster_gives_a_worker_per_gpu() -> None:
    specs = cluster_workers(None, {"GPU": 3.0, "CPU": 8.0}, 2)
    assert specs == [WorkerSpec(1, 1, {"HQTRACK_DEVICE": "cuda"})] * 2
    assert cluster_workers(None, {"CPU": 8.0}, 2) == [WorkerSpec(1, 0, {"HQTRACK_DEVICE": "cpu"})]


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("hqtrack.compute.threads.usable_cores", lambda: 8)
    specs = local_workers("cpu,cpu,cpu", 2)
    assert [spec.environment["OMP_NUM_THREADS"] for spec in specs] == ["4", "4"]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert local_workers("cpu", 2)[0].environment["OMP_NUM_THREADS"] == "1"
