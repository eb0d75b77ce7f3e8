"""Training data: layouts on disk, images and masks."""
