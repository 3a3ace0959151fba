"""Speed and memory, taken in processes of their own.

Read `plan` (which cells), `sweep` (which processes run, and what becomes of what they say), `journal` (what an
interrupted sweep leaves), `samples` and `percentiles` (what the samples say), `tables` (rows) and `shown`; the
processes' side is `process`. `measurement` is the latency sample that every benchmark takes.
"""
