"""Reject credentials written in a configuration: run parameters, tables and pages show it in plain text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nerbench.artifacts.secrets import is_secret_name, url_credential

_KEYS_OF_DATA = frozenset("column field foreign group join label primary sort tag text word".split())
"""Words that make a name ending in `key` harmless, as in `sort_key`."""


def field_name(at: Sequence[str | int]) -> str:
    """`models[0].epochs`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in at).lstrip(".") or "configuration"


def find_credential(data: Any) -> str | None:
    """`field: problem; remedy` for the first credential in a configuration (plain data), or None."""
    for at, text in _texts(data, ()):
        if kind := url_credential(text):
            mlflow = " (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)" if at == ("tracking_uri",) else ""
            remedy = f"leave credentials to the environment{mlflow}"
            return f"{field_name(at)}: is a URL with a credential ({kind}), which tables and pages would show; {remedy}"
        if "options" in at and "${" not in text and any(_is_secret_option(str(key)) for key in at):
            remedy = "write ${NAME} and export NAME=…"
            return f"{field_name(at)}: holds a credential, which tables and pages would show; {remedy}"
    return None


def _is_secret_option(name: str) -> bool:
    before, _, last = name.lower().replace("-", "_").rpartition("_")
    return is_secret_name(name) and not (last == "key" and before.rpartition("_")[2] in _KEYS_OF_DATA)


def _texts(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*at, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, (*at, number))
