"""Tags a user's text with a stored model, with the same inference and entity extraction as the benchmark."""
