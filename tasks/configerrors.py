"""Validation errors of the configuration as one line: the field as the user writes it, its value, and the remedy."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from artifacts.errors import ConfigError
from tasks.config import Config

_SECRET = re.compile(r"(^|_)token$|password|passwd|secret|credential|api_?key", re.IGNORECASE)

REMEDIES = {
    "model_type": "write keys with values",
    "dict_type": "write keys with values",
    "tuple_type": "write a list",
    "list_type": "write a list",
    "int_parsing": "give a whole number",
    "float_parsing": "give a number",
    "bool_parsing": "give true or false",
    "string_type": "give text",
}
"""What to write instead, by pydantic's kind of error, where its own words are not plain enough."""

Key = str | int
Location = tuple[Key, ...]


def first_problem(error: ValidationError, data: Any) -> ConfigError:
    """The first validation error as one line, and how many more there are."""
    problems = error.errors(include_url=False, include_context=True)
    first = min(problems, key=lambda problem: -len(problem["loc"]) if problem["type"] == "extra_forbidden" else 0)
    places = {_real_location(problem["loc"], data) for problem in problems}
    at = _real_location(first["loc"], data)
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    problem, remedy = _explain(first, at)
    field, separator, rest = problem.partition(": ") if not at else ("", "", "")  # a rule over several sections
    return ConfigError(field or field_name(at), rest if separator else problem, f"{remedy}{more}")


def _real_location(location: Location, data: Any) -> Location:
    """The location without the parts that pydantic adds for the branches of a union."""
    real: list[Key] = []
    for key in location:
        if isinstance(data, dict) and (
            key in data or not real or (isinstance(key, str) and "[" not in key and key not in {"str", "dict"})
        ):
            data = data.get(key)
            real.append(key)
        elif isinstance(data, list | tuple) and isinstance(key, int) and key < len(data):
            data = data[key]
            real.append(key)
    return tuple(real)


def _explain(problem: Any, at: Location) -> tuple[str, str]:
    kind, context, value = problem["type"], problem.get("ctx", {}), problem["input"]
    shown = "its value" if any(_SECRET.search(str(key)) for key in at) else _shown(value)
    if kind == "extra_forbidden":
        known = _known_keys(at[:-1])
        near = difflib.get_close_matches(str(at[-1]), known, n=1)
        return "unknown key", f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
    if kind == "missing":
        return "is missing", "add it"
    if kind == "value_error":
        text, _, remedy = str(context["error"]).partition(", e.g. ")
        return text, f"write e.g. {remedy}" if remedy else "correct it"
    if kind in {"literal_error", "enum"}:
        return f"{shown} is not possible", f"give one of {context['expected'].replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        return f"{shown} cannot be a name", "use letters, digits, `.`, `_` and `-`, beginning with a letter or digit"
    return f"{shown} does not fit", REMEDIES.get(kind) or f"give {_lower(problem['msg'])}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _lower(message: str) -> str:
    return message.replace("Input should be", "").replace("valid ", "").strip()


def _known_keys(at: Location) -> list[str]:
    """The keys of the section at a location."""
    section: type[BaseModel] = Config
    for key in at:
        if isinstance(key, str) and (found := _section_of(section, key)):
            section = found
    return list(section.model_fields)


def _section_of(section: type[BaseModel], key: str) -> type[BaseModel] | None:
    if key not in section.model_fields:
        return None
    annotation = section.model_fields[key].annotation
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def field_name(at: Sequence[Key]) -> str:
    """`models[0].epochs`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in at).lstrip(".") or "configuration"
