from benchmarks.gpu_check.steps import STEPS


def test_all_steps_together_take_less_than_twelve_minutes() -> None:
    assert sum(step.seconds for step in STEPS) <= 12 * 60 - 5
    assert len({step.name for step in STEPS}) == 7
    assert all(callable(step.check) for step in STEPS)
