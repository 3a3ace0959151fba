"""Words of a megabyte, and names that are templates: read in linear time, and as text."""

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from jinja2.sandbox import SandboxedEnvironment
from prefect.automations import CallWebhook

from nerbench.artifacts.secrets import redact, url_credential
from nerbench.artifacts.terminal_escaping import escaped
from nerbench.flows.alerts import missing_alert
from nerbench.tasks.config import Config
from nerbench.tasks.publishing.markdown_escaping import name, text
from nerbench.tasks.results.redaction import shareable_value

pytestmark = pytest.mark.attacks
MEGABYTE = 1 << 20
WORDS = {
    "letters": "a" * MEGABYTE + "://x@",
    "schemes": "a://" * (MEGABYTE // 4),
    "users": "://" + "a:" * (MEGABYTE // 2),
    "at signs": "x://" + "@" * MEGABYTE,
    "queries": "://" + "?a" * (MEGABYTE // 2),
    "names": "://?" + "a-" * (MEGABYTE // 2),
    "variables": "${" * (MEGABYTE // 2),
    "markup": "`[<" * (MEGABYTE // 3),
    "escapes": "\x1b" * MEGABYTE,
}


@pytest.mark.parametrize("word", WORDS)
def test_a_long_word_takes_no_quadratic_time(word: str) -> None:
    long = WORDS[word]
    url_credential(long)
    for shown in (redact(long), escaped(long), text(long), name(long), shareable_value(long)):
        assert isinstance(shown, str)


def test_a_configuration_of_long_words_is_judged_at_once() -> None:
    Config(store="a" * MEGABYTE, results="a" * MEGABYTE)


@pytest.mark.parametrize(
    "called", ["{{ 7 * 7 }}", "{% for x in range(9 ** 9) %}", "'\"}}{{ flow_run }}", "{#", "\u2028\x1b🙂\\"]
)
def test_the_name_of_a_deployment_is_no_template(called: str) -> None:
    nightly = cast(Any, SimpleNamespace(id=uuid4(), name=called))
    action = cast(CallWebhook, missing_alert(uuid4(), nightly, timedelta(hours=26)).actions[0])
    posted = json.loads(SandboxedEnvironment().from_string(str(action.payload)).render(flow_run="leaked"))
    assert posted["text"] == f"nerbench: no run of the deployment {called} has ended for 1 day, 2:00:00"
