"""Steps of a trainer, and a run that is saved."""

from tests.helpers.line import Points
from training.engine.loop import loading
from training.engine.run_folder import RunFolder


def advance(trainer, steps, points=None):
    """Take the next steps."""
    with loading(trainer, points or Points()) as batches:
        for _, batch in zip(range(steps), batches, strict=False):
            trainer.advance(batch)


def saved(folder, trainer):
    run = RunFolder(folder)
    run.open(trainer.step)
    run.save(trainer.state())
    run.close()
    return run
