"""The exceptions that users may see, and the collection of problems with single objects while work on the others goes
on.

Each exception has the exit status of the command that it ends. Any other exception is a bug in nerbench: the command
exits with status 70 and shows the traceback.

A command or flow collects the problems that are reported while it runs, prints them at its end, and fails.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nerbench.artifacts.secrets import redact, url_credential
from nerbench.artifacts.terminal_escaping import escaped

_logger = logging.getLogger(__name__)


class NerbenchError(Exception):
    """A run, a verification or a gate failed (exit status 1). Its subclasses are the errors that a user can correct.

    >>> import nerbench
    >>> try:
    ...     nerbench.results("2001-01-01")
    ... except nerbench.NerbenchError as error:
    ...     print(error.exit_status)
    2
    """

    exit_status = 1

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*(redact(one) if isinstance(one, str) else one for one in arguments))


def pass_interrupts(error: BaseException) -> None:
    """Raise exceptions that end the process on purpose, such as Ctrl-C or a cancelled run; return for failures of
    called code.

    A failure is any Exception, a SystemExit that foreign code raised, or a panic of a Rust extension, which is a
    BaseException of a class that cannot be imported.
    """
    if not (isinstance(error, Exception | SystemExit) or type(error).__name__ == "PanicException"):
        raise error


class InputError(NerbenchError):
    """The request was invalid (exit status 2): one line with the field or file, the problem and the remedy."""

    exit_status = 2

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(field, problem, remedy)
        self.field, self.problem, self.remedy = map(redact, (field, problem, remedy))

    def __str__(self) -> str:
        return " ".join(f"{self.field}: {self.problem}; {self.remedy}".split())


class ConfigError(InputError):
    """A configuration key, value or command-line option cannot be used."""


class CorpusError(InputError):
    """A corpus file cannot be read as what it is declared to be."""


class LabelError(InputError):
    """The labels of a model and of a corpus do not match."""


class ArtifactNotFoundError(InputError):
    """The reference names no published model, alias, digest or folder."""


class UnsafeArtifactError(InputError):
    """A model folder or manifest contains something that must not be loaded."""


class CorruptArtifactError(NerbenchError):
    """Stored bytes are missing or differ from the manifest."""


DAMAGED = (InputError, CorruptArtifactError)
"""Exceptions of reading one object of a store. A store without an answer raises another exception."""


class StoreUnreachableError(NerbenchError):
    """A store gave no answer, even after retries. `url` is the location of the request."""

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message, url)
        self.url = url

    def __str__(self) -> str:
        return str(self.args[0])


class ConflictError(NerbenchError):
    """Something immutable already exists with other content."""


class RunFailedError(NerbenchError):
    """A step of a run failed. The results of the other steps are kept, and `summary` lists them."""

    def __init__(self, message: str, summary: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.summary = summary


def refuse_credentials(what: str, url: str) -> None:
    """Raise InputError for a URL with a user name and password, or with a query that grants access."""
    if kind := url_credential(url):
        raise InputError(f"{what} {url}", f"holds a credential ({kind})", "leave credentials to the environment")


Problems = dict[str, CorruptArtifactError]
"""By the location of the object."""
_collector: ContextVar[Problems | None] = ContextVar("problems", default=None)


@contextmanager
def collected() -> Iterator[Problems]:
    """Within this context, in this thread and in those that copy its context, `report` adds to the yielded mapping."""
    found: Problems = {}
    token = _collector.set(found)
    try:
        yield found
    finally:
        _collector.reset(token)


def reported() -> Problems:
    """The problems reported so far in this context."""
    return _collector.get() or {}


def report(where: str, reason: object) -> None:
    """Report the object at `where`, once however often it occurs. Raises CorruptArtifactError if nothing collects
    reports."""
    error = CorruptArtifactError(one_line(reason if where in str(reason) else f"{where}: {reason}"))
    found = _collector.get()
    if found is None:
        raise error
    found.setdefault(where, error)


def report_or_warn(where: str, reason: object) -> None:
    """Like `report`, but log a warning if nothing collects reports."""
    try:
        report(where, reason)
    except CorruptArtifactError as error:
        _logger.warning("left out of the listing: %s", error)


def one_line(text: object) -> str:
    """The text as one line that every terminal and database accepts, even if it contains a strange file name."""
    return escaped(" ".join(str(text).split()))
