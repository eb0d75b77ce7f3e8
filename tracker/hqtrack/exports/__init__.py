"""What a run has stored, in the formats of other programs."""
