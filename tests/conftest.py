"""What every test may ask for."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from hqtrack.compute.threads import limit_threads
from tests.helpers.residents import processes

# One thread for each process of pytest-xdist and for those that tests start: on busy cores, threads
# that wait for each other cost far more than they bring.
os.environ.setdefault("OMP_NUM_THREADS", "1")
limit_threads()

# Where no GPU is, the kernels run in Triton's interpreter; Triton reads this when it is imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

# The same cases every time; for others, and more: HYPOTHESIS_PROFILE=search.
settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=50)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, which has its fixtures; slow files go first."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of specifications, golden arrays and data that lies beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared beside the repository")
    return SHARED


@pytest.fixture
def sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the sockets of this test; whoever uses it is gone afterwards."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="hq") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
        for process in processes(folder):
            os.kill(process, signal.SIGKILL)
