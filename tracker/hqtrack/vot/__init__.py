"""The TraX process: what the VOT toolkit starts (``python -m hqtrack.vot``)."""
