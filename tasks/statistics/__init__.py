"""Resampling statistics over sums: intervals, paired tests and verdicts, independent of what the sums count."""
