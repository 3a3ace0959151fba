"""Inspects data before training: its contents, its problems, and a configuration for it."""
