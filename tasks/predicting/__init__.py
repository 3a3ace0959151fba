"""Tags a user's own text with a stored model, by the very inference and entity reading of the benchmark."""
