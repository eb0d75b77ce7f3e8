"""What the tests of training share."""

import pytest
import torch

from hqtrack.light import LIGHT_SEGMENTER, LIGHT_VMOS
from tests.helpers.tiny_clips import CPU
from training.engine.run_folder import RunFolder
from training.engine.trainer import Settings, Trainer
from training.vmos.rollout import LossConfig
from training.vmos.task import VMOSTask
from vmos import build_vmos


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run of the light network without a step, and options that fit it."""
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    task = VMOSTask(build_vmos(LIGHT_VMOS), LossConfig(), LIGHT_SEGMENTER)
    folder = RunFolder(tmp_path / "run")
    folder.open(0)
    folder.save(Trainer(task, Settings(1), CPU).state())
    folder.close()
    share = ["--video", "0", "--generated", "1", "--steps", "1"]
    return folder.folder, ["--run", str(folder.folder), *share]
