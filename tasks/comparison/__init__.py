"""Comparisons of two artifacts, or of two runs of one: scores, flipped entities and environments; and the gates."""
