"""What a model gets wrong, and whether it knows: entities confused, listed and set against their confidence."""
