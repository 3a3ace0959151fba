"""Reads a YAML file as plain keys and values. An error is one line with the file and the line number."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nerbench.artifacts.errors import ConfigError

MAX_VALUES, MAX_DEPTH = 10_000, 20
"""Limits against aliases that make a small file huge; no real configuration reaches them."""
MAX_BYTES = 1 << 20


def read_text(path: Path) -> str:
    """The text of a configuration file. Raises ConfigError."""
    try:
        # O_NONBLOCK: opening a pipe does not wait for its writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise ConfigError("configuration", f"{path} is not a regular file", "name a file, e.g. nerbench.yaml")
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(
                "configuration", f"{path} has more than {MAX_BYTES} bytes", "write a shorter configuration"
            )
        return data.decode()
    except FileNotFoundError:
        raise ConfigError(
            "configuration", f"there is no file {path}", "check the path, or leave it out for the demonstration"
        ) from None
    except IsADirectoryError:
        raise ConfigError("configuration", f"{path} is a folder", "name a file in it, e.g. nerbench.yaml") from None
    except UnicodeDecodeError:
        raise ConfigError("configuration", f"{path} is not UTF-8 text", "save it as UTF-8") from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            "configuration", f"{path} cannot be read ({error})", "check the path and its permissions"
        ) from None


def parse_mapping(text: str, name: str) -> dict[str, Any]:
    """The keys and values of a YAML text; none for an empty text. `name` is that of the file. Raises ConfigError."""
    try:
        data = _plain(yaml.load(text, Loader=_UniqueKeys), iter(range(MAX_VALUES)))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{name}:{line}", f"is not YAML: {error.problem}", "correct that line") from None
    except yaml.YAMLError:
        raise ConfigError(name, "holds characters that YAML does not allow", "write plain text") from None
    except (RecursionError, OverflowError):
        raise ConfigError(name, "is nested too deeply, or repeats itself endlessly", "write it flat") from None
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # of `!!int ''`, `!!bool x`, `!!timestamp x`
        raise ConfigError(name, f"holds an impossible value: {error}", "put it in quotes") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise ConfigError(name, f"holds {kind}, not keys with values", "write e.g. `store: ./var/artifacts`")
    return data


class _UniqueKeys(yaml.SafeLoader):
    """A safe loader that refuses duplicate keys, of which YAML would silently take the last.

    It also stops at the first value that exceeds a limit, before it reads further.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._count = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count the composed nodes; an alias counts as one node."""
        self._count, self._depth = self._count + 1, self._depth + 1
        if self._count > 2 * MAX_VALUES or self._depth > 2 * MAX_DEPTH:  # keys count as well as values
            raise OverflowError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Insert the keys that `<<` merges, up to a limit: merges of merges grow exponentially."""
        super().flatten_mapping(node)
        if len(node.value) > MAX_VALUES:
            raise OverflowError

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value} is written twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return node


def _plain(value: Any, left: Iterator[int], depth: int = 0) -> Any:
    """A copy without shared parts, so that a change of one place does not change its aliases."""
    if next(left, None) is None or depth > MAX_DEPTH:
        raise OverflowError
    if isinstance(value, dict):
        return {key: _plain(item, left, depth + 1) for key, item in value.items()}
    return [_plain(item, left, depth + 1) for item in value] if isinstance(value, list) else value
