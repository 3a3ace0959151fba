"""The report: what the result tables say of some runs, as one page that needs nothing else.

Reading order: `report` (what goes into a page), `model_scores` (the scores), then what sections are made of: `verdicts`
and `baselines`, `leaderboard`, `costs`, `history`, `error_browser`, `provenance`; `page` puts them into HTML, with
`formats`. `assets/` holds template, style and scripts, which draw with plotly. `results.query` selects the runs.
"""
