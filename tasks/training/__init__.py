"""Fine-tuning in a child process, and what the parent does with it."""
