"""Text from data cannot control a terminal."""

import logging
import unicodedata

import pytest
from fake_models import MakeModel
from hypothesis import given
from hypothesis import strategies as st

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.artifacts.terminal_escaping import EscapedRecord, escaped

BIDI = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


@given(st.text())
def test_only_control_characters_are_escaped(text: str) -> None:
    shown = escaped(text)
    for character in shown:
        assert character in "\t\n" or unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
        assert unicodedata.bidirectional(character) not in BIDI
    assert escaped(shown) == shown
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb", r"a\rb"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("ok\n\tمرحبا 日本", "ok\n\tمرحبا 日本"),
    ],
)
def test_an_escape_names_the_character(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_log_messages_are_escaped_with_any_formatter() -> None:
    def message(name: str) -> str:
        record = EscapedRecord(name, logging.INFO, "x.py", 1, "label %s", ("\x1b[31m",), None)
        return logging.Formatter("%(message)s").format(record)

    for name in (
        "nerbench.tasks.inference.evaluation_cache",
        "nerbench.artifacts.store",
        "prefect.flow_runs",
        "prefect.task_runs",
    ):
        assert message(name) == r"label \x1b[31m"
    assert message("uvicorn.access") == "label \x1b[31m"


@pytest.mark.parametrize("label", ["B-\x1b[2J", "B-\x9b", "B-\u202ePER", "B-A\nB", "B-\r"])
def test_a_label_with_a_control_character_is_not_published(store: Store, make_model: MakeModel, label: str) -> None:
    folder = make_model(id2label={"0": "O", "1": label})
    with pytest.raises(InputError, match="control or invisible") as refused:
        store.publish(folder, "toy", Provenance())
    assert str(refused.value).isprintable()
    assert store.list() == []
