"""How much this process prints on stderr besides errors."""

from typing import Literal

Verbosity = Literal["quiet", "normal", "verbose"]


class _Told:
    verbosity: Verbosity = "normal"


def set_verbosity(verbosity: Verbosity) -> None:
    """Set the verbosity of this process."""
    _Told.verbosity = verbosity


def verbosity() -> Verbosity:
    """The verbosity that `-q` and `-v` set."""
    return _Told.verbosity
