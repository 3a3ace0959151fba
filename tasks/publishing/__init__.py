"""Models on the Hugging Face Hub, each with a card that says what is known of it.

Read in this order: `card_evidence` (the numbers of a card), `card` (its metadata and sections, and what of an existing
card stays; the text is `card.md.jinja`), `card_scores`, `card_sections`, `hub` (one atomic commit).
"""
