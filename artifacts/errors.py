"""The exceptions that a user may see, and how problems of single objects are collected while the rest is done.

Each exception knows the exit status of the command that it ends.

Everything else that escapes is a bug of ours and exits 70 with its traceback.

A command or flow collects what is reported meanwhile, prints it at its end, and fails.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from nerbench.artifacts.escaping import escaped
from nerbench.artifacts.secrets import redact, url_credential


class NerbenchError(Exception):
    """A run, a verification or a gate said no (exit status 1)."""

    exit_status = 1

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*(redact(one) if isinstance(one, str) else one for one in arguments))


def pass_interrupts(error: BaseException) -> None:
    """Raise what ends the process on purpose: Ctrl-C, a cancelled run. Return where code that we call has failed.

    A failure is any Exception, but also a SystemExit of somebody else's code, and a panic of an extension in Rust,
    which is a BaseException of no importable class.
    """
    if not (isinstance(error, Exception | SystemExit) or type(error).__name__ == "PanicException"):
        raise error


class InputError(NerbenchError):
    """The request was wrong (exit status 2): one line with the field or file, what is wrong with it, and the remedy."""

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
    """The labels of a model and of a corpus do not fit together."""


class ArtifactNotFoundError(InputError):
    """No published model, alias, digest or folder is meant by this reference."""


class UnsafeArtifactError(InputError):
    """A model folder or manifest holds something that must not be loaded."""


class CorruptArtifactError(NerbenchError):
    """Stored bytes are missing or differ from what the manifest says."""


DAMAGED = (InputError, CorruptArtifactError)
"""What reading one object of a store may raise; that a whole store gives no answer is something else."""


class StoreUnreachableError(NerbenchError):
    """A store gave no answer, also when it was asked again; `url` is what was asked for."""

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message, url)
        self.url = url

    def __str__(self) -> str:
        return str(self.args[0])


class ConflictError(NerbenchError):
    """Something immutable exists already and would say something else."""


class RunFailedError(NerbenchError):
    """A step of a run failed; what the other steps made is kept, and told by `summary`."""

    def __init__(self, message: str, summary: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.summary = summary


def refuse_credentials(what: str, url: str) -> None:
    """Raise InputError for a URL with a user's name and password, or with a query that opens what it names."""
    if kind := url_credential(url):
        raise InputError(f"{what} {url}", f"holds a credential ({kind})", "leave credentials to the environment")


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
