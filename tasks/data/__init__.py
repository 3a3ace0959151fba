"""Data sets: readers of every format, tag schemes, corpora and their digests."""
