"""Training of VMOS (``python -m training.vmos``)."""
