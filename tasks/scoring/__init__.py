"""Entities, counts and metrics; nothing here infers."""
