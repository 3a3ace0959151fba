"""Generates the reference pages of `docs/` from commands, keys, columns and capabilities of stores.

`UPDATE_DOCS=1 pytest tests/test_documents.py` writes them again.
"""

import builtins
import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import store_capabilities
import typer.main
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import nerbench
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.flows.cli import app
from nerbench.tasks.config import Config, Section
from nerbench.tasks.config.descriptions import field_descriptions
from nerbench.tasks.results.export import ROW_OF

REGION = re.compile(r"<!-- (\w+:\w+) -->\n(.*?)<!-- /\1 -->\n", re.DOTALL)
"""A generated part of a page, by its name."""
SHARED_OPTIONS = {"--config", "--set", "--store", "--results", "--quiet", "--verbose"}


def regions() -> dict[str, str]:
    """Every generated part by its name."""
    return {
        **{f"columns:{name}": columns(name) for name in TABLES},
        **{f"command:{name.replace(' ', '_').replace('-', '_')}": command(name, found) for name, found in commands()},
        "options:shared": options([p for p in _command(app).commands["run"].params if is_shared(p)]),
        **{f"keys:{model.__name__}": keys(model) for model in sections(Config)},
        "stores:capabilities": store_capabilities.markdown(),
        **{f"python:{name}": public(name) for name in nerbench.__all__ if name != "__version__"},
    }


def public(name: str) -> str:
    """The description of a public name: its signature, its docstring, and those of its methods."""
    found = getattr(nerbench, name)
    parts = [f"### `{name}{_signature(found) if inspect.isfunction(found) else ''}`\n", documented(found)]
    methods = vars(found).items() if inspect.isclass(found) else ()
    for method, function in methods:
        if inspect.isfunction(function) and not method.startswith("_"):
            parts += [f"#### `{name}.{method}{_signature(function)}`\n", documented(function)]
    return "\n".join(parts)


def _signature(function: Any) -> str:
    """Names and defaults, without types."""
    parameters = inspect.signature(function).parameters.values()
    plain = [one.replace(annotation=one.empty) for one in parameters if one.name != "self"]
    return re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", str(inspect.Signature(plain))).replace("(/, ", "(")


def documented(found: Any) -> str:
    """A docstring as Markdown: examples as code, and arguments as a list."""
    lines, code = [], False
    for line in (inspect.getdoc(found) or "").splitlines():
        if code and not line.strip():
            lines, code = [*lines, "```"], False
        elif not code and line.startswith(">>> "):
            lines, code = [*lines, "```pycon"], True
        argument = re.fullmatch(r"    (\w+)( \([^)]*\))?: (.*)", line)
        lines.append(f"- `{argument[1]}`{argument[2] or ''}: {argument[3]}" if argument and not code else line)
        if line.strip() in {"Args:", "Raises:", "Attributes that an adapter may have:"}:
            lines.append("")
    text = "\n".join([*lines, *(["```"] if code else []), ""])
    return re.sub(r"\n {8}(?=\S)", "\n  ", text) if not code or "- `" in text else text


def columns(table: str) -> str:
    """The description of a table, from its declaration."""
    rows = [f"| {c.name} | {c.type} | {cell(c.meaning)} |" for c in TABLES[table].columns]
    identity = ", ".join(f"`{name}`" for name in TABLES[table].identity)
    about = f"**{table}**: {ROW_OF[table]}. A row is identified by {identity}."
    return "\n".join([about, "", "| column | type | meaning |", "| --- | --- | --- |", *rows, ""])


def cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", r"\|")


def _command(group: Any) -> Any:
    return typer.main.get_command(group)


def commands(found: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that is not a group, by its words."""
    for name, command in sorted((found or _command(app)).commands.items()):
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def is_shared(parameter: Any) -> bool:
    """Whether an option is described once for all commands."""
    return bool(SHARED_OPTIONS & set(parameter.opts))


def command(name: str, found: Any) -> str:
    """The description of a command."""
    own = [p for p in found.params if not is_shared(p) and p.name != "help"]
    needed = (p for p in own if p.required or p.param_type_name == "argument")
    usage = " ".join(["nerbench", name, *map(placeholder, needed)])
    shared = "" if any(is_shared(p) for p in found.params) else " This command has no shared options."
    lines = [f"### `{usage}`", "", f"{cell(inspect.cleandoc(found.help or ''))}{shared}", ""]
    return "\n".join(lines) + (f"\n{options(own)}" if own else "")


def placeholder(argument: Any) -> str:
    """An argument or a required option for the usage line."""
    text = (argument.metavar or argument.name.upper()).strip("[]")
    if argument.param_type_name == "option":
        return f"{argument.opts[0]} {text}"
    several = f"{text}…" if argument.nargs == -1 else text
    return several if argument.required else f"[{several}]"


def options(parameters: list[Any]) -> str:
    """A table of arguments and options."""
    rows = []
    for p in parameters:
        names = [placeholder(p)] if p.param_type_name == "argument" else [*p.opts, *p.secondary_opts]
        rows.append(f"| {', '.join(f'`{name}`' for name in names)} | {cell(p.help or '')} |")
    return "\n".join(["| option | meaning |", "| --- | --- |", *rows, ""])


def sections(model: type[Section]) -> Iterator[type[Section]]:
    """A section and its nested sections, each once, in order."""
    seen: dict[type[Section], None] = {}

    def visit(one: type[Section]) -> None:
        if one not in seen:
            seen[one] = None
            for field in one.model_fields.values():
                for inner in _sections_in(field.annotation):
                    visit(inner)

    visit(model)
    yield from seen


def _sections_in(annotation: Any) -> Iterator[type[Section]]:
    if inspect.isclass(annotation) and issubclass(annotation, Section):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _sections_in(inner)


def keys(model: type[Section]) -> str:
    """A table of the keys of a section."""
    meanings = field_descriptions(model)
    rows = [
        f"| `{name}` | {cell(kind(field.annotation))} | {default(field)} | {cell(meanings[name])} |"
        for name, field in model.model_fields.items()
    ]
    title = f"### {model.__name__}"
    return "\n".join([title, "", cell(inspect.cleandoc(model.__doc__ or "")), "", "| key | type | default | meaning |",
                      "| --- | --- | --- | --- |", *rows, ""])  # fmt: skip


def kind(annotation: Any) -> str:
    """A description of a type for users."""
    arguments = typing.get_args(annotation)
    match typing.get_origin(annotation):
        case typing.Annotated:
            text = kind(arguments[0])
        case typing.Union | types.UnionType:
            text = " or ".join(dict.fromkeys(kind(one) for one in arguments if one is not type(None)))
        case typing.Literal:
            text = " ".join(f"`{str(one).lower() if isinstance(one, bool) else one}`" for one in arguments)
        case builtins.tuple:
            text = f"list of {kind(arguments[0])}"
        case builtins.dict:
            text = f"mapping to {kind(arguments[1])}"
        case _ if inspect.isclass(annotation) and issubclass(annotation, Section):
            text = f"[{annotation.__name__}](#{annotation.__name__.lower()})"
        case _:
            text = {str: "text", int: "integer", float: "number", bool: "true, false"}.get(annotation, "any")
    return text


def default(field: FieldInfo) -> str:
    """The default value of a key."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**required**"
    if value is None or value in ((), {}) or isinstance(value, Section):
        return ""
    if isinstance(value, tuple):
        return "" if any(isinstance(one, Section) for one in value) else f"`[{', '.join(map(str, value))}]`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def refreshed(text: str) -> str:
    """A page with its generated parts updated; a new part follows the last one of its kind."""
    now = regions()
    kinds = dict.fromkeys(name.partition(":")[0] for name, _ in REGION.findall(text))
    for kind_ in kinds:
        found = list(re.finditer(rf"<!-- {kind_}:\w+ -->\n.*?<!-- /{kind_}:\w+ -->\n", text, re.DOTALL))
        parts = [f"<!-- {n} -->\n{part}<!-- /{n} -->\n" for n, part in now.items() if n.startswith(f"{kind_}:")]
        text = text[: found[0].start()] + "\n".join(parts) + text[found[-1].end() :]
    return text
