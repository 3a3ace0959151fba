"""Looks at data before anybody trains on it: what it holds, what is wrong with it, and a configuration for it."""
