"""The released configuration with the stand-in weights that the golden arrays were made with."""

import importlib.util
import json

import pytest
import torch

from vmos import build_vmos


@pytest.fixture(scope="session")
def vmos_folder(shared):
    return shared / "parity" / "vmos"


@pytest.fixture(scope="session")
def official_weights(vmos_folder):
    """Official key -> tensor, for the seed that the golden arrays name."""
    spec = importlib.util.spec_from_file_location("vmos_seeded", vmos_folder / "seeded.py")
    seeded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    manifest = json.loads((vmos_folder / "manifest.json").read_text())["manifest"]
    weights = seeded.seeded_state_dict(manifest, 24)
    return {key: torch.from_numpy(value) for key, value in weights.items()}


@pytest.fixture(scope="session")
def released(official_weights):
    """VMOS in the released configuration."""
    return build_vmos(state_dict=official_weights)
