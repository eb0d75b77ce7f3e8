"""Training of HQ-SAM (``python -m training.hqsam``)."""
