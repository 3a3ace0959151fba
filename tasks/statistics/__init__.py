"""Resampling statistics over sums: intervals, paired tests and verdicts; nothing here knows what was counted."""
