"""Measurement of speed and memory, in separate processes.

Read `plan` (the cells), `sweep` (the processes and their results), `interrupted_sweeps` (results kept for a
repetition), `samples` (statistics), `speed_rows` (rows) and `sweep_view`; `process` has the code of the measuring
processes. `latency` is the measurement of every benchmark.
"""
