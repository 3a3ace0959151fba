"""Speed and memory, taken in processes of their own.

Read `plan` (which cells), `sweep` (which processes run, and what becomes of their results), `interrupted_sweeps` (what
is kept for a repetition), `samples` (statistics), `tables` (rows) and `sweep_view`; the processes' side is `process`.
`latency_sample` is what every benchmark measures.
"""
