"""The table of capabilities: what each kind of store provides itself, what nerbench adds, and what is missing.

`docs/reference/stores.md` shows this table, and `tests/artifacts/storage/test_capabilities.py` compares it with the
behaviour of the filesystems. `pytest -s -k capabilities` prints it.
"""

from typing import NamedTuple

ITSELF = "yes"
"""fsspec's filesystem does it, used with its defaults."""
ADDED = "nerbench"
"""fsspec's filesystem does not, but nerbench does on top of it."""
MISSING = "no"
UNPROBED = "*"
"""The end of a cell that is taken from the store's documentation, because no test can check it."""
STORES = ("file", "memory", "s3", "http", "hf")


class Capability(NamedTuple):
    """One capability, with a cell for each of STORES."""

    name: str
    meaning: str
    file: str
    memory: str
    s3: str
    http: str
    hf: str


TABLE = (
    Capability(
        "exclusive creation",
        "of several writers that create a file at once, one succeeds",
        *(ADDED, ADDED, ITSELF, MISSING, MISSING),
    ),
    Capability(
        "compare and swap",
        "a file is replaced only if it has not changed since it was read",
        *(ADDED, ADDED, ITSELF, MISSING, ADDED),
    ),
    Capability(
        "whole files",
        "who reads a file while it is replaced gets the old bytes or the new ones",
        *(ADDED, ITSELF, ITSELF, MISSING, ITSELF + UNPROBED),
    ),
    Capability(
        "durable writes",
        "what is written outlasts a crash of this machine: `fsync` of file and folder, or another machine",
        *(ADDED, MISSING, ITSELF + UNPROBED, MISSING, ITSELF + UNPROBED),
    ),
    Capability(
        "honest listings",
        "a folder that cannot be listed is an error and not empty",
        *(ADDED, ITSELF, ADDED, ITSELF, ADDED),
    ),
    Capability(
        "fresh listings",
        "a listing shows what another process has written since the last one",
        *(ITSELF, ITSELF, ADDED, ITSELF, ADDED),
    ),
    Capability(
        "dates of the store",
        "a file has the time of its last change, by the store's clock",
        *(ITSELF, ITSELF, ITSELF, MISSING, ITSELF + UNPROBED),
    ),
    Capability(
        "ranges",
        "a part of a file is read without the rest",
        *(ITSELF, ITSELF, ITSELF, MISSING, ITSELF + UNPROBED),
    ),
)


def markdown() -> str:
    """The table in Markdown."""
    rows = [f"| {' | '.join(one)} |" for one in TABLE]
    return "\n".join([f"| promise | meaning | {' | '.join(STORES)} |", f"|{' --- |' * (len(STORES) + 2)}", *rows, ""])
