"""The work, with one folder per stage: pure functions without Prefect. `prefect_tasks` turns them into Prefect tasks.

Reading order: config → corpora (with sources) → training → inference → scoring (with slicing, statistics and custom) →
analysis → comparison → results → prefect_tasks, then `flows/`.
"""
