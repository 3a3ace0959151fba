"""What is kept: stores of published models, their manifests, lazy handles, and the result tables.

Nothing here imports `tasks`, `flows`, Prefect, torch or transformers, so that any program can read what nerbench wrote.
"""
