"""The Prefect tasks: each body is one call of the function that does the work, which is tested directly.

Nothing large passes between them: references, digests, plain numbers.
"""
