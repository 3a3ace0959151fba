"""The report: the results of some runs as one self-contained page.

Reading order: `report` (the content of a page), `model_scores` (the scores), then the sections: `verdict_text`
and `baselines`, `leaderboard`, `costs`, `history`, `error_browser`, `provenance`. `page` renders them as HTML, with
`formats`. `assets/` has template, style and scripts, which draw with plotly. `results.query` selects the runs.
"""
