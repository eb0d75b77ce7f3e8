"""Tracks a video from prompts to results on disk, frame by frame."""
