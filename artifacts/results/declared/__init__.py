"""The columns of the result tables, by what the tables are about; `results.schemas` puts them together."""
