"""Result tables as Parquet files: their schemas, how they are written, read and compacted."""
