"""The result tables: rows to write, questions to them, and exports."""
