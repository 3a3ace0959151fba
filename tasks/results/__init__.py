"""Rows of the result tables, what people look at first, and what is sent to others."""
