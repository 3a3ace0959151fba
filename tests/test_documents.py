"""Commands, options, keys, columns, files and make targets in the documents exist.

After a change of a command, a configuration key or a column, `UPDATE_DOCS=1 pytest tests/test_documents.py` updates the
pages of `docs/`.
"""

import os
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
import reference
import typer.main
import yaml

from nerbench.flows.cli import app
from nerbench.tasks.config import Config
from nerbench.tasks.config.descriptions import field_descriptions

ROOT = Path(__file__).resolve().parents[1]
CODE_BLOCK = re.compile(r"```.*?```", re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(nerbench [^`]*)`")
CONFIGURATION = re.compile(r"<!-- configuration -->\n```yaml\n(.*?)```", re.DOTALL)
PAGES = sorted((ROOT / "docs").rglob("*.md"))
LINK = re.compile(r"""(?:\]\(|src=["'])(?!https?://|mailto:)([^)#"']*)#?([^)"']*)[)"']""")


def shell_lines(text: str) -> list[str]:
    return [line.strip() for block in BLOCK.findall(text) for line in block.splitlines() if line.strip()]


def nerbench_commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `nerbench` that a document runs or mentions, also after variable assignments."""
    for line in [*shell_lines(text), *INLINE.findall(text)]:
        words = shlex.split(re.sub(r"(^|\s)#.*", "", line.replace("…", "")))
        for number, word in enumerate(words):
            if Path(word).name == "nerbench" and all("=" in earlier for earlier in words[:number]):
                yield list(takewhile(lambda word: word not in {">", "|"}, words[number + 1 :]))
                break


@cache
def command_line() -> Any:
    """The command `nerbench` with all its subcommands."""
    return typer.main.get_command(app)


def parse(arguments: list[str]) -> None:
    """Parse a command line like `nerbench`, without running it. Raises LookupError or typer's usage errors."""
    command = command_line()
    arguments = [argument for argument in arguments if argument != "--help"]
    while arguments and (known := getattr(command, "commands", None)):
        name, *arguments = arguments
        if name not in known:
            raise LookupError(f"no such command: {name}")
        command = known[name]
    command.make_context(command.name, arguments, resilient_parsing=hasattr(command, "commands"))


def documents() -> list[Path]:
    return [*sorted(ROOT.glob("*.md")), *PAGES]


def commands() -> list[str]:
    """The commands in all documents except the changelog, which names commands without their arguments."""
    pages = [path for path in documents() if path.name != "CHANGELOG.md"]
    return sorted({shlex.join(found) for path in pages for found in nerbench_commands(path.read_text())})


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_documents_exists_with_its_options(command: str) -> None:
    parse(shlex.split(command))


@pytest.mark.parametrize("wrong", ["bench", "run --fast", "artifacts list", "artifacts show", "results show --run"])
def test_unknown_commands_are_noticed(wrong: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing|requires"):
        parse(shlex.split(wrong))


def test_there_are_commands_to_check() -> None:
    assert {"run", "doctor", "results show"} <= set(commands())


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_make_has_the_targets_that_documents_name(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {line.split()[1] for line in shell_lines(path.read_text()) if line.startswith("make ")}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_the_files_that_documents_name_exist(path: Path) -> None:
    named = re.findall(r"`((?:flows|tasks|artifacts|deployments|tests)/[\w./-]*)`", path.read_text())
    for name in named:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_reference_pages_are_current(path: Path) -> None:
    text = path.read_text()
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(text := reference.refreshed(text))
    assert text == reference.refreshed(text)


def test_every_command_option_key_and_column_is_on_some_page() -> None:
    found = {name for path in PAGES for name, _ in reference.REGION.findall(path.read_text())}
    assert found == set(reference.regions())


def links(text: str) -> list[tuple[str, str]]:
    """The file and the anchor of every link within the repository."""
    return LINK.findall(CODE.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors of headings, as GitHub and mkdocs.yml generate them."""
    headings = re.findall(r"^#+ (.+)$", CODE_BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_a_link_to_a_missing_heading_would_be_noticed() -> None:
    headings = "# Scores\n## The gate, in `short`\n```sh\n# no heading\n```\n"
    page = headings + '[a](b.md#c) [d](#scores) `[e](f)` <img src="g.png">\n'
    assert links(page) == [("b.md", "c"), ("", "scores"), ("g.png", "")]
    assert anchors(page) == {"scores", "the-gate-in-short"}


def test_pages_link_only_within_the_site() -> None:
    """`mkdocs build --strict` refuses links that leave `docs/`."""
    outside = {
        f"{path.name}: {target}"
        for path in PAGES
        for target, _ in links(path.read_text())
        if not (path.parent / target).resolve().is_relative_to(ROOT / "docs")
    }
    assert outside == set()


def test_every_page_is_on_the_first_page_and_in_the_menu() -> None:
    pages = {str(path.relative_to(ROOT / "docs")) for path in PAGES} - {"index.md"}
    assert {target for target, _ in links((ROOT / "docs/index.md").read_text())} - {"report.png"} == pages
    menu = (ROOT / "mkdocs.yml").read_text()
    assert {page for page in pages if page not in menu} == set()


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_links_between_documents_have_a_target(path: Path) -> None:
    for target, anchor in links(path.read_text()):
        found = path.parent / target if target else path
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text()), f"{target}#{anchor}"


def test_whole_configurations_of_the_documents_are_valid() -> None:
    found = [block for path in documents() for block in CONFIGURATION.findall(path.read_text())]
    assert found
    for block in found:
        Config.model_validate(yaml.safe_load(block))


def test_every_command_option_and_key_has_a_description() -> None:
    for name, command in reference.commands():
        assert command.help, name
        assert all(p.help for p in command.params), f"{name}: {[p.name for p in command.params if not p.help]}"
    for model in reference.sections(Config):
        assert all(field_descriptions(model).get(name) for name in model.model_fields), model
