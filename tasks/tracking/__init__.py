"""Tells other experiment trackers what a run found; the result tables stay the truth."""
