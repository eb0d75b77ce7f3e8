"""The training loop for any task: processes, steps, checkpoints, logs."""
