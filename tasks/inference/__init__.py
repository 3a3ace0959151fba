"""From words to predicted tags: windows, models, batches, and the cache of finished evaluations."""
