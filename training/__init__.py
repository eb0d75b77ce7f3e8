"""How the shipped weights were made. Run from a checkout; not installed."""
