"""The columns of the result tables, grouped by subject; `results.schemas` combines them."""
