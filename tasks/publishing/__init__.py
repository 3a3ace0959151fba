"""Publishes models on the Hugging Face Hub, with model cards.

Read in this order: `card_evidence` (the numbers of a card), `card` (metadata, sections, and the merge with an existing
card; the template is `card.md.jinja`), `card_scores`, `card_sections`, `hub` (one atomic commit).
"""
