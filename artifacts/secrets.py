"""Credentials: which names and URLs contain one, and how they are kept out of output and logs."""

import logging
import os
import re
import traceback
from collections.abc import Callable, Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus

_SECRET_PARTS = frozenset(
    "apikey auth credential credentials key passphrase passwd password pwd sas secret signature token webhook".split()
)
_SECRET_VARIABLES = frozenset({"NERBENCH_ALERT_URL"})
_PLAIN_VARIABLES = frozenset({"PWD", "SSH_AUTH_SOCK"})
"""Every shell has these variables, and they contain paths."""
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SHORTEST = 6
"""In characters; redacting a shorter value would damage unrelated texts."""
_USER = re.compile(r"://(?P<user>[^\s/?#'\"]*)@")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*$")
_LONGEST_SCHEME = 40
"""In characters; without a limit, a search for the scheme would take quadratic time in long words."""
_QUERY = re.compile(r"(?P<start>[?&;](?P<name>[\w.-]+)=)(?P<value>[^&;\s#'\"]+)")
_USER_IS_NO_SECRET = frozenset({"abfs", "abfss", "wasb", "wasbs", "ssh", "sftp", "hf"})
"""Schemes that write the name of a container or account before the `@`; `github://` writes
`organisation:repository`."""
_used: set[str] = set()


def is_secret_name(name: str) -> bool:
    """Whether the name of a key, query parameter or environment variable indicates a credential, by its words."""
    if name in _PLAIN_VARIABLES:
        return False
    return name in _SECRET_VARIABLES or not _SECRET_PARTS.isdisjoint(w.lower() for w in _WORD.findall(name))


def url_credential(text: str) -> str | None:
    """The kind of credential in a URL (`user information`, or the name of a query parameter); None if there is none.

    >>> url_credential("https://host/file?X-Amz-Signature=abc")
    'X-Amz-Signature'
    """
    if any(map(_is_credential, _USER.finditer(text))):
        return "user information"
    names = (found["name"] for found in _QUERY.finditer(text)) if "://" in text else ()
    return next(filter(_is_secret_parameter, names), None)


def mark_used(name: str) -> None:
    """Record that the value of an environment variable was passed to other code: from now on it is redacted, too."""
    _used.add(name)


def redact(text: str) -> str:
    """The text without credentials from the environment, which appear by name, and without those in URLs."""
    for name, form in _forms(tuple(_secret_values())):
        if form in text:
            text = text.replace(form, f"${{{name}}}")
    if "://" not in text:
        return text
    text = _USER.sub(lambda found: "://…@" if _is_credential(found) else found[0], text)
    return _QUERY.sub(lambda m: f"{m['start']}…" if _is_secret_parameter(m["name"]) else m[0], text)


def redact_logs() -> None:
    """From now on, redact each message and traceback of Python's logging in this process, for all handlers."""
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _Redacting):
        logging.setLogRecordFactory(_Redacting(factory))


class _Redacting:
    """Makes log records without credentials."""

    def __init__(self, factory: Callable[..., logging.LogRecord]) -> None:
        self._factory = factory

    def __call__(self, *arguments: object, **options: object) -> logging.LogRecord:
        record = self._factory(*arguments, **options)
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # logging itself reports the error
            return record
        if (clean := redact(message)) != message:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[1]:
            record.exc_text = redact("".join(traceback.format_exception(record.exc_info[1])).rstrip("\n"))
        return record


def _is_credential(found: re.Match[str]) -> bool:
    at, user = found.start(), found["user"]
    scheme = _SCHEME.search(found.string, max(0, at - _LONGEST_SCHEME), at)
    if not (scheme and user) or scheme[0] == "github":
        return False
    return ":" in user or scheme[0] not in _USER_IS_NO_SECRET


def _is_secret_parameter(name: str) -> bool:
    return name.lower() == "sig" or is_secret_name(name)


def _secret_values() -> Iterator[tuple[str, str]]:
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and (name in _used or is_secret_name(name)):
            yield name, value


@lru_cache(maxsize=4)
def _forms(values: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Each value in the forms in which a text may contain it, longest first, because one may be part of another."""
    forms = {(name, form) for name, value in values for form in (value, quote(value, safe=""), quote_plus(value))}
    return sorted(forms, key=lambda one: (-len(one[1]), one))
