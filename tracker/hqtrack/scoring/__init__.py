"""Scores of trackers on annotated sequences, mosaics of sequences, and the measures of VOTS."""
