"""Prefect flows. A flow is the list of its steps; the work is in `tasks`."""
