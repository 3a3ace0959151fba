"""The README says what is there: its commands and options exist, and its columns are those of the tables.

After a change of `artifacts.results.schemas`, `UPDATE_README=1 pytest tests/test_readme.py` writes the columns anew.
"""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from artifacts.results.schemas import TABLES
from flows.cli import app
from tasks.results.export import ROW_OF

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(nerbench [^`]*)`")
COLUMNS = re.compile(r"<!-- columns:(\w+) -->\n(.*?)<!-- /columns -->\n", re.DOTALL)


def shell_lines(text: str) -> list[str]:
    return [line.strip() for block in BLOCK.findall(text) for line in block.splitlines() if line.strip()]


def nerbench_commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `nerbench` that a document runs or mentions, with whatever is set before it."""
    for line in [*shell_lines(text), *INLINE.findall(text)]:
        words = shlex.split(re.sub(r"(^|\s)#.*", "", line.replace("…", "")))
        for number, word in enumerate(words):
            if Path(word).name == "nerbench" and all("=" in earlier for earlier in words[:number]):
                yield words[number + 1 :]
                break


def parse(arguments: list[str]) -> None:
    """Read a command line as `nerbench` does, without running it; raises LookupError or typer's usage errors."""
    command: Any = typer.main.get_command(app)
    arguments = [argument for argument in arguments if argument != "--help"]
    while arguments and (known := getattr(command, "commands", None)):
        name, *arguments = arguments
        if name not in known:
            raise LookupError(f"no such command: {name}")
        command = known[name]
    command.make_context(command.name, arguments, resilient_parsing=hasattr(command, "commands"))


def documents() -> list[Path]:
    return [README, ROOT / "CONTRIBUTING.md"]


def commands() -> list[str]:
    return sorted({shlex.join(found) for path in documents() for found in nerbench_commands(path.read_text())})


def columns(table: str) -> str:
    """What the README says of a table, from its declaration."""
    rows = [f"| {c.name} | {c.type} | {c.meaning.replace('|', chr(92) + '|')} |" for c in TABLES[table].columns]
    return "\n".join(
        [f"**{table}**: {ROW_OF[table]}", "", "| column | type | meaning |", "| --- | --- | --- |", *rows, ""]
    )


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_documents_exists_with_its_options(command: str) -> None:
    parse(shlex.split(command))


@pytest.mark.parametrize("wrong", ["bench", "run --fast", "artifacts list", "artifacts show", "results show --run"])
def test_a_command_that_does_not_exist_would_be_noticed(wrong: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing|requires"):
        parse(shlex.split(wrong))


def test_there_are_commands_to_check() -> None:
    assert {"run", "doctor", "results show"} <= set(commands())


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_make_has_the_targets_that_documents_name(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {line.split()[1] for line in shell_lines(path.read_text()) if line.startswith("make ")}
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_the_files_that_documents_name_exist(path: Path) -> None:
    named = re.findall(r"`((?:flows|tasks|artifacts|deployments|tests)/[\w./-]*)`", path.read_text())
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


def test_the_columns_are_those_of_the_tables() -> None:
    text = README.read_text()
    if os.environ.get("UPDATE_README"):
        sections = "\n".join(f"<!-- columns:{table} -->\n{columns(table)}<!-- /columns -->\n" for table in TABLES)
        start, end = text.index("<!-- columns:"), text.rindex("<!-- /columns -->\n") + len("<!-- /columns -->\n")
        text = text[:start] + sections + text[end:]
        README.write_text(text)
    assert dict(COLUMNS.findall(text)) == {table: columns(table) for table in TABLES}
