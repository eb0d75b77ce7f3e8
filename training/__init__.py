"""Training of the shipped weights. It runs from a checkout and is not installed."""
