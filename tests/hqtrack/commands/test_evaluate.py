"""``hqtrack evaluate`` through the real toolkit and Ray; trackers are real processes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hqtrack.cli import main
from hqtrack.commands.evaluate import time_left
from hqtrack.errors import InputError
from hqtrack.evaluation.cluster import cluster_workers
from tests.helpers.workspaces import (
    copied,
    evaluate,
    evaluated,
    faulty,
    registry,
    small_workspace,
    stored,
)

COMMAND = (sys.executable, "-m", "hqtrack", "evaluate")

STARTS = 5
"""How often to try: Ray itself gives up on a node that takes 30 seconds, as on busy machines."""


CLUSTER = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Ray cluster of two nodes with one core each, on this machine."""
    pytest.importorskip("ray")
    for _ in range(STARTS):
        with subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            found = process.stdout.readline().strip()
            if found:
                yield found
            process.stdin.close()
            process.wait()
        if found:
            return
    pytest.fail("Ray did not start")


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without results."""
    return small_workspace(tmp_path_factory.mktemp("evaluate"), (4, 6, 5))


@pytest.fixture(scope="module")
def serial(sequences: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the toolkit itself stores."""
    return evaluated(sequences, tmp_path_factory.mktemp("serial"))


@pytest.fixture
def workspace(sequences: Path, tmp_path: Path) -> Path:
    return copied(sequences, tmp_path)


def run(workspace: Path, *options: str) -> subprocess.CompletedProcess[str]:
    for _ in range(STARTS):
        ended = subprocess.run(
            [*COMMAND, "--workspace", str(workspace), *options, "FirstMask"],
            capture_output=True,
            text=True,
        )
        if "timed out during startup" not in ended.stderr:
            break
    return ended


@pytest.mark.slow
class TestThroughRay:
    def test_two_workers_store_what_the_toolkit_does(
        self, workspace: Path, serial: dict[str, bytes]
    ) -> None:
        ended = run(workspace, "--devices", "cpu,cpu")
        assert ended.returncode == 0, ended
        assert "3/3" in ended.stderr
        assert ended.stdout == "3 complete\n"
        assert stored(workspace) == serial

    def test_two_nodes_resume_what_the_toolkit_began(
        self, workspace: Path, serial: dict[str, bytes], address: str
    ) -> None:
        sequences = workspace / "sequences" / "list.txt"
        names = sequences.read_text()
        sequences.write_text("s1\n")
        evaluate(workspace)
        sequences.write_text(names)
        (before,) = workspace.rglob("s1_001_001.bin")
        written = before.stat().st_mtime_ns
        ended = run(workspace, "--address", address, "--devices", "cpu,cpu")
        assert ended.returncode == 0, ended
        assert "2/2" in ended.stderr
        assert stored(workspace) == serial
        assert before.stat().st_mtime_ns == written

    def test_a_lost_worker_s_sequence_goes_to_another(
        self, workspace: Path, serial: dict[str, bytes], address: str
    ) -> None:
        mark = faulty(workspace, "kill parent")
        ended = run(workspace, "--address", address, "--devices", "cpu,cpu")
        assert ended.returncode == 0, ended
        assert not mark.exists()
        assert stored(workspace) == serial

    def test_what_fails_is_in_the_table_and_in_the_logs(
        self, workspace: Path, address: str
    ) -> None:
        (workspace / "sequences" / "list.txt").write_text("s1\n")
        registry(workspace, FirstMask={"env_HQTRACK_PRESET": "full", "env_HQTRACK_WEIGHTS": "/no"})
        ended = run(workspace, "--address", address)
        assert ended.returncode == 1
        assert ended.stderr.count("Server terminated the session: the weights") == 1
        assert "1 missing" in ended.stdout
        (log,) = (workspace / "logs").glob("FirstMask_*.log")
        assert "hqtrack weights download" in log.read_text()


class TestBadInput:
    def test_results_that_cannot_be_written(
        self, workspace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (workspace / "results" / "FirstMask").write_text("in the way")
        assert main(["evaluate", "--workspace", str(workspace), "FirstMask"]) == 2
        assert "cannot write results to" in capsys.readouterr().err

    def test_a_device_that_does_not_exist(
        self, workspace: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["--workspace", str(workspace), "--devices", "cpu,cuda:77", "FirstMask"]
        assert main(["evaluate", *arguments]) == 2
        assert "cuda:77" in capsys.readouterr().err

    def test_an_address_that_does_not_answer(
        self,
        workspace: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        arguments = ["--workspace", str(workspace), "--address", "127.0.0.1:1", "FirstMask"]
        # Ray itself would try for a long time
        monkeypatch.setattr("ray.init", None)
        assert main(["evaluate", *arguments]) == 2
        assert "nothing responds at the Ray address 127.0.0.1:1" in capsys.readouterr().err

    def test_an_unknown_tracker(self, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["evaluate", "--workspace", str(workspace), "Nobody"]) == 2
        assert "FirstMask, HQTrack, HQTrackLight" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("devices", "message"),
        [
            ("cuda:0", "Ray chooses"),
            ("cuda,cuda,cuda", "has 2 and 4"),
            ("cpu," * 4 + "cpu", "has 2 and 4"),
        ],
    )
    def test_devices_that_a_cluster_does_not_have(self, devices: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            cluster_workers(devices, {"GPU": 2.0, "CPU": 4.0}, 9)


@pytest.mark.parametrize(
    ("elapsed", "done", "total", "words"),
    [(10, 5, 10, "0:00:10 left"), (3600, 10, 30, "2:00:00 left"), (5, 3, 3, "")],
)
def test_the_time_left(elapsed: float, done: int, total: int, words: str) -> None:
    assert time_left(elapsed, done, total) == words
