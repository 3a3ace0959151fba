"""What `artifacts.results.schemas` puts together: the columns of the result tables, by what the tables are about."""
