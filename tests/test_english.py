"""Help texts, configuration keys, columns, documents, docstrings and errors contain none of the phrases below.

They are typical of the project's former dialect; `CONTRIBUTING.md` names the style to follow instead.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import reference

from nerbench.artifacts.tables.schemas import TABLES
from nerbench.tasks.config import Config
from nerbench.tasks.config.descriptions import field_descriptions
from nerbench.tasks.results.export import ROW_OF

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
CODE = re.compile(r"```.*?```|`[^`\n]*`|\]\([^)]*\)", re.DOTALL)
PHRASES = (
    *("[Ww]e", "[Ww]hoever", "[Nn]obody", "[Ss]omebody", "[Mm]eanwhile", "anew", "for ever", "pieces?"),
    *("a bug of ours", "a user's own", "goe?s? on", "says? nothing", "stands? in", "it says", "by hand"),
    *("(?:is|are|was|were) (?:told|said)", "lets? (?:it|the run|a run|a benchmark) fail", "does not come"),
    *("what (?:there is|is right|was predicted|is stored|goes|went|lets|is kept)", "least seconds in", "not asked for"),
    *("That time each cell", "Only if the alias means", "whatever does not prove itself", r"^Which\.$"),
)
IN_DOCSTRINGS = (
    *("[Ww]hoever", "[Nn]obody", "[Ss]omebody", "anew", "a user's own", "the user's own", "of ours", "pieces?"),
    *("[Tt]old", "(?:is|are|was|were) said", "tells? (?:of|the|what)", "says? (?:nothing|what|which|of)", "hears?"),
    *("(?:None|[Ee]mpty|[Nn]othing|False|Error) where", "where (?:nobody|nothing|none|no|there (?:is|are|was|were))"),
    *("[Tt]hat of each", "nights? before", "what it says", "lets? (?:it|a|the)", "beside (?:one|its) annotation"),
    *("goe?s? on", "stands? (?:in|beside|there|where|before|after)", "by hand", "mend(?:ed|s)?", "[Mm]eanwhile"),
    *("^Of (?:the|its|all|one|each|a|this|these|that)", "^(?:Those|That)", "the very", "seldom", "for good"),
    *("what (?:was|had|goes|there|others|must|may) ", "^What (?:it|they|there|is|was)", "(?<!there )(?:is|are) none"),
    *("as it stands", "in (?:a )?process(?:es)? of (?:its|their|his) own", "what is (?:no|to be|there)"),
)
"""Phrases to avoid in the docstrings of sources and tests: riddles, `where` for `if`, no subject or verb."""
IN_ERRORS = re.compile(
    r"(?<!here )(?:is|are) no (?!longer|more)|\b(?:one|1) \w+ an? \w+|\b(?:told|anew|whoever|nobody|mend)\b"
    r"|\b(?:parted by|begins? so|finds none|so late|of ours)\b"
)
"""Phrases to avoid in the arguments of exceptions: `is no folder` for `is not a folder`, `a line` for `per line`."""
IN_NAMES = re.compile(
    "_(?:told|said|hears?|ones_own|nobody|somebody|whoever|anew|meanwhile|mends?|mended|goe?s?_on"
    "|that_(?:is|are)_none|of_(?:its|their)_own|what_(?:is|was|it|one|users|they|we|others|who))(?:_|$)"
)
"""Parts of names of tests to avoid."""
FOLDERS = ("artifacts", "deployments", "flows", "nerbench", "tasks", "tests")
DIALECT = re.compile("|".join(rf"(?<!\w){phrase}(?!\w)" if phrase[0] != "^" else phrase for phrase in PHRASES))


IN_SOURCES = re.compile(rf"\b(?:{'|'.join(IN_DOCSTRINGS)})(?!\w)")


def dialect(text: str) -> list[str]:
    return DIALECT.findall(CODE.sub("", text))


def help_texts() -> Iterator[tuple[str, str]]:
    for name, command in reference.commands():
        yield name, command.help
        yield from ((f"{name} {parameter.name}", parameter.help) for parameter in command.params)


def keys() -> Iterator[tuple[str, str]]:
    for section in reference.sections(Config):
        yield section.__name__, section.__doc__ or ""
        for name, description in field_descriptions(section).items():
            yield f"{section.__name__}.{name}", description


def columns() -> Iterator[tuple[str, str]]:
    yield from ROW_OF.items()
    for table, schema in TABLES.items():
        yield from ((f"{table}.{column.name}", column.meaning) for column in schema.columns)


def documents() -> Iterator[tuple[str, str]]:
    yield from ((path.name, path.read_text()) for path in sorted(DOCUMENTS))


@cache
def trees() -> list[tuple[Path, ast.Module]]:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [(path.relative_to(ROOT), ast.parse(path.read_text())) for path in paths]


def docstrings() -> Iterator[tuple[str, str]]:
    """The docstrings of modules, classes, functions and attributes, by file and line."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                yield f"{path}:{node.lineno}", node.value.value


def test_docstrings_are_plain_english() -> None:
    found = {where: IN_SOURCES.findall(CODE.sub("", text)) for where, text in docstrings()}
    assert len(found) > 2000
    assert {where: phrases for where, phrases in found.items() if phrases} == {}


def errors() -> Iterator[tuple[str, str]]:
    """The texts in the arguments of raised exceptions, and in variables called `problem` and `remedy`."""
    for path, tree in trees():
        if path.parts[0] == "tests":
            continue
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("problem", "remedy")
            if is_text or (isinstance(node, ast.Raise) and node.exc):
                texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
                yield f"{path}:{node.lineno}", " ".join(text for text in texts if isinstance(text, str))


def test_errors_are_plain_english() -> None:
    found = {where: IN_ERRORS.findall(CODE.sub("", text)) for where, text in errors()}
    assert len(found) > 600
    assert {where: phrases for where, phrases in found.items() if phrases} == {}


def test_names_of_tests_are_plain_english() -> None:
    names = [
        node.name
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and path.name.startswith("test_") and node.name.startswith("test_")
    ]
    assert len(names) > 1000
    assert [name for name in names if IN_NAMES.search(name)] == []


@pytest.mark.parametrize("texts", [help_texts, keys, columns, documents])
def test_users_read_plain_english(texts: type[Iterator[tuple[str, str]]]) -> None:
    assert {where: found for where, text in texts() if (found := dialect(text))} == {}


def test_dialect_is_found() -> None:
    assert IN_ERRORS.findall("is no folder; write one object a line") == ["is no ", "one object a line"]
    assert not IN_ERRORS.search("there is no folder, and the store is no longer readable; write one tag per word")
    assert dialect("Which.") == ["Which."]
    assert dialect("A report that cannot be written is said, and spoils nothing.") == ["is said"]
    assert dialect("That time each cell; 3.") == ["That time each cell"]
    assert not dialect("Which metric? Weight decay of `we`.")
