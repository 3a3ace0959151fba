"""Ranks annotations that are probably wrong, and takes decisions on them back as another annotation."""
