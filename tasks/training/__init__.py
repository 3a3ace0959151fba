"""Fine-tuning in a child process, and the parent's part of it."""
