"""The adapters of endpoints against a test server: concurrency, retries, keys, prices, and invalid answers."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nerbench.artifacts.errors import RunFailedError
from nerbench.taggers.endpoints import spans_of
from nerbench.tasks.config import TaggerConfig
from nerbench.tasks.inference.tagger_process import running_tagger

SENTENCES = [[name, "left", "Oslo"] for name in ("Anna", "Berit", "Cora", "Dina", "Eva", "Frida", "Guro")]
Reply = tuple[int, Any]


class Endpoint:
    """The requests to the server, and its answers."""

    def __init__(self, answer: Callable[[Any], Reply]) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.keys: set[str | None] = set()
        self.url = ""


@contextmanager
def serving(answer: Callable[[Any], Reply]) -> Iterator[Endpoint]:
    endpoint = Endpoint(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append(body)
            endpoint.keys.add(self.headers["Authorization"])
            status, reply = endpoint.answer(body)
            data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://localhost:9/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint.url = f"http://127.0.0.1:{server.server_port}/tag"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()


def people(body: Any) -> Reply:
    return 200, {"results": [[[0, 1, "PER", 0.5]] for _ in body["sentences"]]}


def configured(endpoint: Endpoint, adapter: str = "http", **options: Any) -> TaggerConfig:
    given = {"url": endpoint.url} | {name: value for name, value in options.items() if name != "files"}
    return TaggerConfig.model_validate(
        {
            "name": "vendor",
            "tagger": f"nerbench.taggers:{adapter}",
            "options": given,
            "allow_egress": True,
            "files": options.get("files", {}),
            "timeout_s": 30,
        }
    )


def tags(config: TaggerConfig) -> tuple[list[list[str]], dict[str, float]]:
    with running_tagger(config) as tagger:
        return [tagged.tags for tagged in tagger.predict(SENTENCES)], tagger.counts


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_an_endpoint_gets_some_sentences_a_call_and_some_calls_at_a_time() -> None:
    together = threading.Barrier(2, timeout=120)

    def answer(body: Any) -> Reply:
        together.wait()  # fails unless two calls run concurrently
        return people(body)

    with serving(answer) as endpoint:
        found, counts = tags(configured(endpoint, sentences_per_call=4, concurrency=2))
    assert found == [["B-PER", "O", "O"]] * 7
    assert sorted(len(body["sentences"]) for body in endpoint.asked) == [3, 4]
    assert counts == {"calls": 2, "retries": 0}


def test_tags_are_answers_too() -> None:
    with serving(lambda body: (200, {"results": [["O", "O", "B-LOC"] for _ in body["sentences"]]})) as endpoint:
        assert tags(configured(endpoint))[0] == [["O", "O", "B-LOC"]] * 7


def test_transient_errors_are_retried() -> None:
    statuses = iter([503, 429, 200])
    with serving(lambda body: (next(statuses), people(body)[1])) as endpoint:
        found, counts = tags(configured(endpoint))
    assert found == [["B-PER", "O", "O"]] * 7
    assert counts == {"calls": 3, "retries": 2}


@pytest.mark.parametrize(
    ("reply", "message", "calls"),
    [
        ((400, {}), "the request to the endpoint failed: HTTP Error 400", 1),
        ((500, {}), "the request to the endpoint failed: HTTP Error 500", 3),
        ((302, b""), "the request to the endpoint failed: HTTP Error 302", 1),
        ((200, b"<html>"), "JSONDecodeError", 1),
        ((200, {"result": []}), "KeyError: 'results'", 1),
        ((200, {"results": []}), "the endpoint returns 0 results for 7 sentences", 1),
        ((200, b" " * (9 << 20)), "the reply of the endpoint has more than 8388608 bytes", 1),
    ],
)
def test_other_answers_fail_in_one_line_that_names_the_sentence(reply: Reply, message: str, calls: int) -> None:
    with serving(lambda _: reply) as endpoint, pytest.raises(RunFailedError, match=message) as caught:
        tags(configured(endpoint, retries=2))
    assert len(endpoint.asked) == calls
    assert "at sentence 1 (Anna left Oslo)" in str(caught.value)


def test_a_key_is_given_by_its_variable_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VENDOR_KEY", "sk-geheimnis")
    with serving(lambda _: (401, {})) as endpoint:
        config = configured(endpoint, api_key="${VENDOR_KEY}")
        with pytest.raises(RunFailedError) as caught:
            tags(config)
    assert endpoint.keys == {"Bearer sk-geheimnis"}
    assert "geheimnis" not in f"{caught.value} {config}"


def test_no_words_are_sent_unless_that_is_allowed() -> None:
    for adapter in ("http", "openai_chat"):
        with pytest.raises(
            ValidationError, match="sends the words of the corpora to a server; add `allow_egress: true`"
        ):
            TaggerConfig(name="vendor", tagger=f"nerbench.taggers:{adapter}", options={"url": "https://vendor"})
    assert not TaggerConfig(name="vendor", tagger="nerbench.taggers:http", allow_egress=True).is_pinned


ANSWERS = {
    "Anna": '[[0, 1, "PER"], [2, 3, "LOC"]]',
    "Berit": '```json\n[[2, 3, "LOC"]]\n```',
    "Cora": "Cora is a person.",
    "Dina": '[[0, 9, "PER"]]',
    "Eva": '[[0, 2, "PER"], [1, 3, "LOC"]]',
    "Frida": '{"PER": "Frida"}',
    "Guro": "[]",
}


def test_a_language_model_answers_with_spans_and_parse_failures_are_counted(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("Find the names.")

    def answer(body: Any) -> Reply:
        words = json.loads(body["messages"][1]["content"])
        return 200, {"choices": [{"message": {"content": ANSWERS[words[0]]}}]}

    with serving(answer) as endpoint:
        files = {"prompt": str(tmp_path / "prompt.txt")}
        found, counts = tags(configured(endpoint, "openai_chat", model="gpt", files=files))
    assert found == [["B-PER", "O", "B-LOC"], ["O", "O", "B-LOC"], *[["O"] * 3] * 5]
    assert counts == {"calls": 7, "retries": 0, "parse_failures": 4}
    assert {body["model"] for body in endpoint.asked} == {"gpt"}
    assert endpoint.asked[0]["messages"][0] == {"role": "system", "content": "Find the names."}


@pytest.mark.parametrize("answer", [None, 7, "", "[" * 100_000, '[[true, 2, "PER"]]', '[[0, 1, "P R"]]', "[[0, 1, 2]]"])
def test_hostile_answers_are_parse_failures(answer: Any) -> None:
    assert spans_of(answer, 3) is None
