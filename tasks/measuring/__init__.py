"""Latency, load time and memory, taken in a process of their own."""
