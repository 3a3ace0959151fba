"""Metrics of a user's own, over predictions or with the model."""
