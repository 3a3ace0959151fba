"""The report: what the result tables say of some runs, as one page that needs nothing else.

Reading order: `report` (what goes into a page), `chosen` (which runs), `entries` (their scores), then what sections
are made of: `verdicts` and `baselines`, `details`, `costs`, `history`, `mistakes`, `provenance`; `page` puts them into
HTML, with `packing` for what is large. `assets/` holds template, style and scripts, which draw with plotly.
"""
