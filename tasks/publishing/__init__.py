"""Publishes models on the Hugging Face Hub, with model cards, and scores in the format of Every Eval Ever.

Read in this order: `card_evidence` (the numbers of a card), `card` (metadata, sections, and the merge with an existing
card; the template is `card.md.jinja`), `card_from_results`, `card_from_manifest`, `hub` (one atomic commit),
`every_eval_ever`.
"""
