"""The tracker process that the VOT toolkit starts (``python -m hqtrack.vot``)."""
