"""Inference: from words to predicted tags, with windows, models, batches, and the cache of finished evaluations."""
