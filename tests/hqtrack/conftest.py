"""What the tests of weights and of their command share."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hqsam import build_hqsam
from hqtrack.weights import checkpoints as weights
from tests.helpers.hqsam_file import FILE, NAME, Url
from tests.helpers.server import serve


@pytest.fixture
def weights_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the weights."""
    monkeypatch.setenv("HQTRACK_WEIGHTS", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture(scope="module")
def tiny_weights() -> dict[str, Tensor]:
    return build_hqsam("vit_tiny").state_dict()


@pytest.fixture(scope="module")
def tiny_file(tiny_weights: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / FILE
    torch.save(tiny_weights, path)
    return path.read_bytes()


@pytest.fixture
def server(tiny_file: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Weights of HQ-SAM vit_tiny, from a local server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(tiny_file) as files:
        source = Url(f"{files.address}/{FILE}")
        known = {NAME: dataclasses.replace(weights.KNOWN[NAME], source=source)}
        monkeypatch.setattr(weights, "KNOWN", weights.KNOWN | known)
        yield files
