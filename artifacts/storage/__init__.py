"""Files, object stores and the Hub. Each module handles the peculiarities of one kind of storage."""
