"""The training loop, whatever is learnt: processes, steps, checkpoints, logs."""
