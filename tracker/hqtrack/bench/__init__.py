"""Time and memory of a frame: a test pipeline, measurements, and their record."""
