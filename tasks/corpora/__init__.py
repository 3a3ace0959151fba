"""Corpora as everything else sees them: sentences of words with IOB2 tags, their labels and their digests."""
