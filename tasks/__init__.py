"""The work, with one folder per stage: pure functions without Prefect. `prefect_tasks` turns them into Prefect tasks.

Reading order: config → data → inference → training → scoring (with statistics) → results → analysis → comparison →
report and publishing → prefect_tasks, then `flows/`. Beside the path: inspection, predicting, measuring, audit.
"""
