"""The folder of a run."""

import pytest
import torch

from hqtrack.errors import InputError, MissingFileError
from tests.helpers.line import make_trainer
from tests.helpers.steps import advance, saved
from training.engine.run_folder import read_checkpoint


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path):
    trainer = make_trainer()
    run = saved(tmp_path, trainer)
    advance(trainer, 2)
    (tmp_path / ".checkpoint.part.pt").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"cannot write .*No space left.*last good checkpoint"):
        run.save(trainer.state())
    assert not (tmp_path / ".checkpoint.part.pt").is_symlink()
    assert read_checkpoint(run.checkpoint)["step"] == 0
    run.save(trainer.state())
    assert read_checkpoint(run.checkpoint)["step"] == 2


def test_what_is_no_checkpoint(tmp_path):
    file = tmp_path / "checkpoint.pt"
    with pytest.raises(MissingFileError):
        read_checkpoint(file)
    file.write_bytes(b"half")
    with pytest.raises(InputError, match="broken or something else"):
        read_checkpoint(file)
    torch.save({"model": {}}, file)
    with pytest.raises(InputError, match="not a checkpoint of a training run"):
        read_checkpoint(file)
