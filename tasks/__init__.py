"""The work, one stage a file; pure functions that import no Prefect (only `steps` does).

Read in this order: config → corpus → alignment → modeling → inference → evaluation → scoring → steps, then `flows/`.
"""
