"""Parts of the entities that are scored on their own."""
