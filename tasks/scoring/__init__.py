"""Entities, counts and metrics, from predictions. Nothing here runs inference."""
