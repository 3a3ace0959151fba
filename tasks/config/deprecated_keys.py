"""Deprecated keys and values of the configuration: their current names, and one warning for each."""

import logging
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

log = logging.getLogger(__name__)
OLD_NAMES = {
    "aggregation_strategy": "vote",
    "check_reproducibility": "frozen",
    "dtype": "precision",
    "dtypes": "precisions",
    "max_length": "window",
    "runs": "nights",
}
"""Deprecated keys, by their current names; the next release removes them."""
OLD_VALUES = {"aggregation_strategy": {"mean": "average"}}
"""By key, the current values for deprecated ones."""


@cache
def warn_deprecated(old: str, remedy: str) -> None:
    """Warn about a deprecated name or value, once per process."""
    log.warning("%s is deprecated: %s", old, remedy)


def with_current_names(data: Any, section: str, *keys: str) -> Any:
    """The data of a section with deprecated names and values of `keys` replaced by current ones, with warnings.

    Raises ValueError if both the deprecated and the current name of a key are given.
    """
    if not isinstance(data, Mapping):
        return data
    for new in keys:
        if (old := OLD_NAMES[new]) in data:
            if new in data:
                raise ValueError(f"{old} and {new} are the same key; leave {old} out")
            warn_deprecated(f"{section}.{old}", f"write {new}")
    current = in_current_terms(data, keys)
    for key in OLD_VALUES.keys() & current.keys():
        if (given := data.get(key, data.get(OLD_NAMES[key]))) != current[key]:
            warn_deprecated(f"{section}.{key}: {given}", f"write {current[key]}")
    return current


def in_current_terms(data: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """A section, perhaps recorded by an earlier release, with the current names and values of `keys`."""
    names = {OLD_NAMES[key]: key for key in keys if key in OLD_NAMES}
    renamed = {names.get(name, name): value for name, value in data.items()}
    for key in OLD_VALUES.keys() & renamed.keys() & set(keys):
        if isinstance(value := renamed[key], str):
            renamed[key] = OLD_VALUES[key].get(value, value)
    return renamed
