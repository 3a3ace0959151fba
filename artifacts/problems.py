"""What is wrong with one object among many: one line that names it, and everything else is done.

A command or flow collects what is reported meanwhile, prints it at its end, and fails.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.escaping import escaped

Problems = dict[str, CorruptArtifactError]
"""By the location of the object."""
_collector: ContextVar[Problems | None] = ContextVar("problems", default=None)
_logger = logging.getLogger(__name__)


@contextmanager
def collected() -> Iterator[Problems]:
    """Within, in this thread and those that copy its context, `report` adds to the mapping that is yielded."""
    found: Problems = {}
    token = _collector.set(found)
    try:
        yield found
    finally:
        _collector.reset(token)


def reported() -> Problems:
    """What was reported so far to whoever collects here."""
    return _collector.get() or {}


def report(where: str, reason: object) -> None:
    """Report the object at `where`, once however often it is met; raises CorruptArtifactError if nobody collects."""
    error = CorruptArtifactError(one_line(reason if where in str(reason) else f"{where}: {reason}"))
    found = _collector.get()
    if found is None:
        raise error
    found.setdefault(where, error)


def report_or_warn(where: str, reason: object) -> None:
    """As `report`, but a warning if nobody collects."""
    try:
        report(where, reason)
    except CorruptArtifactError as error:
        _logger.warning("left out of the listing: %s", error)


def one_line(text: object) -> str:
    """The text in one line that every terminal and database takes, whatever a file's name holds."""
    return escaped(" ".join(str(text).split()))
