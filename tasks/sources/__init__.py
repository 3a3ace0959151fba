"""Readers of one split after another, whatever the format: files, the Hub, a user's own loader."""
