"""The result tables: declared once, written once each, read back whole."""
