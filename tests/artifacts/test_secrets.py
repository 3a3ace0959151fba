"""Credentials in names, URLs, messages and logs."""

import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.artifacts.errors import InputError, RunFailedError, refuse_credentials
from nerbench.artifacts.secrets import is_secret_name, mark_used, redact, redact_logs, url_credential
from nerbench.artifacts.terminal_escaping import escape_logs


@pytest.mark.parametrize(
    "name",
    "AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN HF_TOKEN PREFECT_API_AUTH_STRING DATABASE_PASSWORD "
    "token apiKey accessKey X-Amz-Signature X-Amz-Credential X-Goog-Signature NERBENCH_ALERT_URL SLACK_WEBHOOK "
    "pwd".split(),
)
def test_names_of_credentials(name: str) -> None:
    assert is_secret_name(name)


def test_escaped_logs_are_still_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted-token")
    before = logging.getLogRecordFactory()
    try:
        for begin in ((escape_logs, redact_logs), (redact_logs, escape_logs), (escape_logs, escape_logs)):
            logging.setLogRecordFactory(before)
            for one in begin:
                one()
            made = logging.getLogRecordFactory()("nerbench.tasks.x", 30, "x.py", 1, "\x1b %s", ("planted-token",), None)
            assert made.getMessage() == "\\x1b ${PLANTED_TOKEN}"
    finally:
        logging.setLogRecordFactory(before)


@pytest.mark.parametrize(
    "name", "MINILM HOME PWD TOKENIZERS_PARALLELISM batch_tokens KEYBOARD AUTHOR monkey keys".split()
)
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://user:pass@host/x", "user information"),
        ("https://token@host/x", "user information"),
        ("s3://key:secret@bucket/x", "user information"),
        ("s3://key@bucket", "user information"),
        ("abfs://c:secret@account/x", "user information"),
        ("simplecache::https://u:p@host/x", "user information"),
        ("https://host/x?X-Amz-Signature=a&X-Amz-Date=b", "X-Amz-Signature"),
        ("https://host/x?sv=1&sig=abc", "sig"),
        ("https://host/x?a=b;token=c", "token"),
        ("https://host/x?access_token=${TOKEN}", "access_token"),
        ("https://host/x?a=b&c=d", None),
        ("https://host/x@y", None),
        ("abfs://container@account.dfs.core.windows.net/x", None),
        ("sftp://me@host/x", None),
        ("github://org:repo@main/x", None),
        ("hf://org/model@main", None),
        ("name@sha256:0123456789", None),
        ("text != 'https' and score > 0.5", None),
        ("/a/folder?token=x", None),
    ],
)
def test_credentials_of_urls(url: str, kind: str | None) -> None:
    assert url_credential(url) == kind
    if kind:
        with pytest.raises(InputError, match="holds a credential") as caught:
            refuse_credentials("location", url)
        assert not any(secret in str(caught.value) for secret in ("pass@", "secret", "=abc", "=c;"))
    else:
        assert redact(url) == url


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=6), st.text())
def test_a_value_of_the_environment_is_never_left(value: str, around: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLANTED_TOKEN", value)
        for form in (value, quote(value, safe=""), quote_plus(value)):
            clean = redact(f"{around}{form}{around}")
            assert value not in clean.replace("${PLANTED_TOKEN}", "\0") or value in around


def test_errors_show_names_instead_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted-token")
    error = InputError("loader planted-token", "says planted-token", "ask planted-token")
    assert (error.field, error.problem) == ("loader ${PLANTED_TOKEN}", "says ${PLANTED_TOKEN}")
    assert "planted-token" not in f"{error} {error!r} {error.args}"
    assert str(RunFailedError("no planted-token at https://me:x@host")) == "no ${PLANTED_TOKEN} at https://…@host"


def test_a_variable_that_was_passed_on_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_PLACE", "planted-place")
    assert redact("at planted-place") == "at planted-place"
    mark_used("PLANTED_PLACE")
    assert redact("at planted-place") == "at ${PLANTED_PLACE}"


def test_short_values_are_not_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "a")
    assert redact("a banana") == "a banana"


def test_messages_and_tracebacks_in_logs_are_redacted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted-token")
    before = logging.getLogRecordFactory()
    redact_logs()
    redact_logs()
    try:
        log = logging.getLogger("nerbench.test")
        log.warning("with %s and %d", "planted-token", 3)
        try:
            raise ValueError("deep planted-token")
        except ValueError as error:
            log.exception("it failed: %s", error)
        log.warning("as %s it was", "always")
    finally:
        logging.setLogRecordFactory(before)
    assert "planted-token" not in caplog.text
    for part in ("with ${PLANTED_TOKEN} and 3", "ValueError: deep ${PLANTED_TOKEN}", "as always it was"):
        assert part in caplog.text
