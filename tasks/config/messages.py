"""Describes a validation error of the configuration in one line: the field as the user wrote it, value and remedy."""

import datetime
import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from nerbench.artifacts.errors import ConfigError
from nerbench.artifacts.secrets import redact
from nerbench.tasks.config import Config
from nerbench.tasks.config.deprecated_keys import OLD_NAMES
from nerbench.tasks.config.schema_base import field_name

_SECRET = re.compile(r"(^|[_-])(token|key)$|apikey|password|passwd|secret|credential", re.IGNORECASE)

REMEDIES = {
    "bool_parsing": "give true or false",
    "bool_type": "give true or false",
    "dict_type": "write keys with values",
    "finite_number": "give a finite number",
    "float_parsing": "give a number",
    "float_type": "give a number",
    "greater_than": "give a number greater than {gt:g}",
    "greater_than_equal": "give {ge:g} or more",
    "int_from_float": "give a whole number",
    "int_parsing": "give a whole number",
    "int_type": "give a whole number",
    "less_than": "give a number less than {lt:g}",
    "less_than_equal": "give {le:g} or less",
    "list_type": "write a list",
    "literal_error": "give one of {expected}",
    "model_type": "write keys with values",
    "string_too_short": "give some text, or leave the key out",
    "string_pattern_mismatch": "give text that matches {pattern}",
    "string_type": "give text",
    "too_short": "give a list of {min_length} or more",
    "tuple_type": "write a list",
}
"""The remedy for each of pydantic's kinds of errors; `{…}` is filled from the error's context."""

Key = str | int
Location = tuple[Key, ...]


def first_problem(error: ValidationError, data: Any) -> ConfigError:
    """The most specific validation error in one line, and the number of other fields with errors."""
    problems = error.errors(include_url=False, include_context=True)
    # An unknown key comes first: if it is misspelled, the correct key is reported as missing too.
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    places = [_real_location(problem["loc"], problem["type"], data) for problem in problems]
    # Each branch of a union reports an error; the one that got deepest into the value is the one that was meant.
    at = max((place for place in places if place[: len(places[0])] == places[0]), key=len)
    explained = [_explain(problem, at, data) for problem, place in zip(problems, places, strict=True) if place == at]
    fields = {place for place in places if place != at[: len(place)]}
    more = f" (and {len(fields)} more)" if fields else ""
    first, *others = dict.fromkeys(remedy for _, remedy in explained)
    remedies = ", or ".join([first, *(other.removeprefix("give one of ") for other in others)])
    field, separator, rest = explained[0][0].partition(": ")
    if not at and separator:  # a rule over several sections names the field itself
        return ConfigError(field, rest, f"{remedies}{more}")
    return ConfigError(field_name(at), explained[0][0], f"{remedies}{more}")


def looks_secret(at: Sequence[Key]) -> bool:
    """Whether the keys that lead to a value suggest that it is a secret, which messages must not show."""
    return any(_SECRET.search(str(key)) for key in at)


def shown(value: Any) -> str:
    """A value for a message: short, without items of lists and mappings, and without the credentials of a URL."""
    if isinstance(value, dict | list):
        return "a list" if isinstance(value, list) else "a mapping"
    text = redact(str(value) if isinstance(value, datetime.date) else repr(value))
    return text if len(text) <= 60 else f"{text[:57]}…"


def _real_location(location: Location, kind: str, data: Any) -> Location:
    """The location as the user wrote it: without the names that pydantic gives to the branches of a union."""
    real: list[Key] = []
    if kind == "invalid_key":
        location = location[:-1]
    if location[:1] == ("datasets",) and isinstance(data, dict) and "datasets" not in data:
        location, data, real = location[2:], data["dataset"], ["dataset"]
    for number, name in enumerate(location, start=1):
        steps = data if isinstance(data, dict) else dict(enumerate(data)) if isinstance(data, list) else {}
        key = name if name in steps else OLD_NAMES.get(str(name), name)
        if key in steps:
            data = steps[key]
            real.append(key)
        elif kind == "missing" and number == len(location):
            real.append(name)
    return tuple(real)


def _explain(problem: Any, at: Location, data: Any) -> tuple[str, str]:
    """The problem and the remedy."""
    kind, context, value = problem["type"], problem.get("ctx", {}), problem["input"]
    if kind == "extra_forbidden":
        return "unknown key", _better_key(at, data)
    if kind == "missing":
        return "is missing", "add it"
    if kind == "value_error":
        text, separator, remedy = str(context["error"]).partition("; ")
        return (text, remedy) if separator else _example(text)
    return _misfit(kind, context, value, hidden=looks_secret(at), name=at[-1:] == ("name",))


def _misfit(kind: str, context: dict[str, Any], value: Any, *, hidden: bool, name: bool) -> tuple[str, str]:
    """The problem and the remedy for a value that has the wrong type or is out of range."""
    what = "its value" if hidden else shown(value)
    if kind == "invalid_key":
        return f"the key {what} is not text", "write it in quotes"
    if kind == "string_type" and isinstance(value, int | float | datetime.date):
        return f"{what} is not text", "write it in quotes"
    if kind == "string_pattern_mismatch" and name:
        return f"{what} cannot be a name", "use letters, digits, `.`, `_` and `-`, beginning with a letter or digit"
    remedy = REMEDIES.get(kind, "see the reference of the configuration").format(**context).replace("'", "")
    return "has no value" if value is None else f"{what} does not fit", remedy


def _example(text: str) -> tuple[str, str]:
    problem, _, example = text.partition(", e.g. ")
    return problem, f"write e.g. {example}" if example else "correct it"


def _better_key(at: Location, data: Any) -> str:
    known = _known_keys(at[:-1], data)
    elsewhere = [name for name in Config.model_fields if len(at) == 1 and at[0] in _known_keys((name,), {})]
    if elsewhere:
        return f"it belongs under {' or '.join(elsewhere)}"
    near = difflib.get_close_matches(str(at[-1]), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"


def _known_keys(at: Location, data: Any) -> list[str]:
    """The keys of the section at a location; if it can be of several kinds, of the kind that fits the keys best."""
    found: list[type[BaseModel]] = [Config]
    for key in at:
        steps: Any = data if isinstance(data, dict | list) else {}
        data = steps[key] if steps else {}
        name = "datasets" if key == "dataset" else key
        if field := found[0].model_fields.get(str(name)):
            found = list(_sections_in(field.annotation)) or found
    return list(max(found, key=lambda section: len({*data} & {*section.model_fields})).model_fields)


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _sections_in(part)
