"""Layouts of training data on disk, and what is read from them."""
