"""Orchestration only: what runs after what. A flow reads as the list of its steps; the work is in `tasks`."""
