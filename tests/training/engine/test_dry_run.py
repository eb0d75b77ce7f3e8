"""A dry run measures and writes nothing."""

import pytest

from tests.helpers.line import Points, make_trainer
from training.engine.dry_run import dry_run


def test_a_dry_run_counts():
    trainer = make_trainer(steps=1000)
    found = dry_run(trainer, Points(), 3)
    assert trainer.step == 3
    assert found.parameters == found.learning == 5
    assert found.bytes > 2**20
    assert 0 <= found.waiting < 1
    assert found.total == pytest.approx(1000 * found.step)
    assert "5 learn" in str(found)
