"""A configuration that is written to a file and read again has the same texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.config.variables import escape, expand_read


@given(st.text("${}A"))
def test_reading_undoes_escaping(text: str) -> None:
    assert expand_read(escape({"store": [text]})) == {"store": [text]}


def test_variables_that_are_expanded_later_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    monkeypatch.delenv("BASE", raising=False)
    data = {"datasets": [{"options": {"key": "${API_KEY}"}}], "models": [{"base": "${BASE}"}]}
    assert escape(data, optional=("models",)) == data
    assert expand_read(data, optional=("models",)) == data
