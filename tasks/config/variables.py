"""Expands `${NAME}` in a configuration.

Variables outside of `options` are expanded when the configuration is read. Credentials are allowed in `options` only,
and expanded when the function is called: configuration, tables, logs, pages and databases contain the name only.
"""

import os
import re
from collections.abc import Callable, Collection
from typing import Any

from nerbench.artifacts.errors import ConfigError
from nerbench.artifacts.secrets import is_secret_name, mark_used
from nerbench.tasks.config.messages import Key, Location
from nerbench.tasks.config.schema_base import field_name

OPTIONS = "options"
"""The key whose values are expanded only for the function that gets them as arguments."""
_VARIABLE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")


def expand_read(value: Any, optional: Collection[str] = (), allowed: Collection[str] | None = None) -> Any:
    """A configuration with its variables expanded, except in `options`, whose variables are only checked.

    In `optional` sections, variables that are not set are kept. Raises ConfigError for a variable that is not set, is
    not in `allowed` (None allows all), or contains a credential and is used outside of `options`.
    """

    def change(text: str, at: Location) -> str:
        in_options = OPTIONS in at

        def named(name: str) -> str | None:
            if allowed is not None and name not in allowed:
                problem = f"${{{name}}} may not be used in the parameters of a run"
                raise ConfigError(
                    field_name(at), problem, f"list {name} in the worker's NERBENCH_ENV, or write a value"
                )
            if not os.environ.get(name):
                if at and at[0] in optional:
                    return None
                raise ConfigError(
                    field_name(at), f"the environment variable {name} is not set", f"export {name}=… or write the value"
                )
            if is_secret_name(name) and not in_options:
                problem = f"${{{name}}} is a credential, which tables and pages would show here"
                raise ConfigError(field_name(at), problem, "leave it to the environment, or give it in `options`")
            return os.environ[name]

        expanded = _substitute(text, at, named)
        return text if in_options else expanded

    return map_strings(value, (), change)


def escape(value: Any, optional: Collection[str] = ()) -> Any:
    """Reverse `expand_read`: the configuration that it expands to `value` with the same `optional` sections.

    These sections do not change, because they may have variables that are not set yet.
    """

    def change(text: str, at: Location) -> str:
        return text if OPTIONS in at or at[0] in optional else text.replace("${", "$${")

    return map_strings(value, (), change)


def expand_options(options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a custom function, with all variables expanded. From now on, logs redact their values."""

    def change(text: str, at: Location) -> str:
        def named(name: str) -> str:
            if not os.environ.get(name):
                raise ConfigError(
                    field_name(at), f"the environment variable {name} is not set", f"export {name}=… or write the value"
                )
            mark_used(name)
            return os.environ[name]

        return _substitute(text, at, named)

    expanded: dict[str, Any] = map_strings(options, (OPTIONS,), change)
    return expanded


def map_strings(value: Any, at: Location, change: Callable[[str, Location], str]) -> Any:
    """A copy of a value in which `change(text, location)` replaces every text; keys do not change."""
    if isinstance(value, str):
        return change(value, at)
    if isinstance(value, dict):
        return {key: map_strings(item, (*at, key), change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [map_strings(item, (*at, number), change) for number, item in enumerate(value)]
    return value


def value_at(data: Any, at: tuple[Key, ...]) -> Any:
    """The value at a place in nested mappings and lists; None if there is no such place."""
    for key in at:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _substitute(text: str, at: Location, value_of: Callable[[str], str | None]) -> str:
    def value(found: re.Match[str]) -> str:
        name, closed = found.groups()
        if name is None:
            return "${"
        if not closed or not name.isidentifier():
            raise ConfigError(
                field_name(at), f"${{{name} is not ${{NAME}}", "write `$${` for the characters themselves"
            )
        return found[0] if (known := value_of(name)) is None else known

    return _VARIABLE.sub(value, text)
