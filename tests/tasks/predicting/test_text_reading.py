"""Input to tag: texts, CoNLL files, standard input."""

import io
import sys
from pathlib import Path

import pytest

from nerbench.artifacts.errors import InputError
from nerbench.tasks.predicting.text_reading import open_source

CONLL = "-DOCSTART- O\n\nAnna B-PER\nmet O\n\t\nOslo B-LOC\n"


def sentences(path: Path, content: bytes | str, format: str | None = None, encoding: str = "utf-8") -> list[object]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    opened = open_source(str(path), format, encoding)  # type: ignore[arg-type]
    return [opened.format, *((one.line, [word.text for word in one.words]) for one in opened.sentences)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "Anna met.\n\nOslo\n", ["text", (1, ["Anna", "met", "."]), (3, ["Oslo"])]),
        ("a.txt", CONLL, ["conll", (3, ["Anna", "met"]), (6, ["Oslo"])]),
        ("a.conll", "Anna\nmet\r\n\r\nOslo", ["conll", (1, ["Anna", "met"]), (4, ["Oslo"])]),
        ("a.txt", "Anna met.\r\nOslo", ["text", (1, ["Anna", "met", "."]), (2, ["Oslo"])]),
        ("a.conll", "Anna B-PER\nmet", ["conll", (1, ["Anna", "met"])]),
        ("a", "# id\n1\tAnna\tO\n2\tmet\tO\n\n1\tOslo\tO\n", ["conll", (2, ["Anna", "met"]), (5, ["Oslo"])]),
        ("a", "\ufeffAnna", ["text", (1, ["Anna"])]),
    ],
)
def test_the_format_is_recognised(tmp_path: Path, name: str, content: str, expected: list[object]) -> None:
    assert sentences(tmp_path / name, content) == expected


def test_the_format_can_be_given(tmp_path: Path) -> None:
    assert sentences(tmp_path / "a.conll", "Anna B-PER", "text") == ["text", (1, ["Anna", "B-PER"])]
    assert sentences(tmp_path / "a.txt", "Anna's.", "words") == ["words", (1, ["Anna's."])]
    latin = "Andrée".encode("latin-1")
    assert sentences(tmp_path / "a.txt", latin, encoding="latin-1") == ["text", (1, ["Andrée"])]


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "no word"), (b" \n\n", "no word"), (b"a\0b", "NUL"), (b"\xff", "0xff")]
)
def test_invalid_texts(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        sentences(tmp_path / "a.txt", content)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße aus Oslo\n\nAnna".encode())))
    assert [one.text for one in open_source("-", None, "utf-8").sentences] == ["Grüße aus Oslo", "Anna"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    with pytest.raises(InputError, match="standard input"):
        list(open_source("-", None, "utf-8").sentences)
