"""Models on the Hugging Face Hub, each with a card that says what is known of it.

Read in this order: `evidence` (which numbers a card is made of), `card` (its metadata and sections; the text is
`card.md.jinja`), `regions` (what of a card that is there already stays), `hub` (one atomic commit).
"""
