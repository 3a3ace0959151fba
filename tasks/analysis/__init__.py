"""Analyses of a model's errors and of its confidence: confusion, a list of errors, and calibration."""
