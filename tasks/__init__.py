"""The work, a folder a stage; pure functions that import no Prefect; `prefect_tasks` makes Prefect tasks of them.

Read in this order: config → corpora (fed by sources) → training → inference → scoring (with slicing, statistics and
custom) → analysis → comparison → results → prefect_tasks, then `flows/`.
"""
