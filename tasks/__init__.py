"""The work, a folder a stage; pure functions that import no Prefect (only `steps` does).

Read in this order: config → corpora (fed by sources) → training → inference → scoring (with slicing, statistics and
custom) → analysis → comparison → results → steps, then `flows/`.
"""
