"""How many threads: cores, not logical processors, and no more than a container's share."""

from pathlib import Path

import pytest

from hqtrack.compute import threads


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of four cores with two threads each, as Linux describes it."""
    for number in range(8):
        file = tmp_path / f"devices/system/cpu/cpu{number}/topology/thread_siblings_list"
        file.parent.mkdir(parents=True)
        file.write_text(f"{number % 4},{number % 4 + 4}\n")
    monkeypatch.setattr(threads, "_SYSTEM", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path


def test_the_threads_of_a_core_count_once(system: Path) -> None:
    assert threads.usable_cores() == 4


def test_only_the_processors_of_the_process_count(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {1, 2, 5})
    assert threads.usable_cores() == 2


@pytest.mark.parametrize(("limit", "cores"), [("250000", 2), ("50000", 1), ("900000", 4)])
@pytest.mark.parametrize("old", [False, True])
def test_a_container_has_its_share(system: Path, limit: str, cores: int, old: bool) -> None:
    group = system / "fs/cgroup"
    (group / "cpu").mkdir(parents=True)
    if old:
        (group / "cpu/cpu.cfs_quota_us").write_text(limit)
        (group / "cpu/cpu.cfs_period_us").write_text("100000")
    else:
        (group / "cpu.max").write_text(f"{limit} 100000\n")
    assert threads.usable_cores() == cores


def test_no_limit_is_none(system: Path) -> None:
    (system / "fs/cgroup").mkdir(parents=True)
    (system / "fs/cgroup/cpu.max").write_text("max 100000\n")
    assert threads.usable_cores() == 4


def test_processes_share_unless_the_user_says_how_many(
    system: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [threads.threads_for(count) for count in (1, 2, 3, 9)] == [4, 2, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads.threads_for(9) == 3
