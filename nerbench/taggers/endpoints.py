"""Endpoints, which get the words of a corpus over HTTP.

Options of both: `url`; `api_key`; `concurrency`, calls at a time; `retries`; `timeout_s` of one call.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MAX_BYTES = 8 << 20
RETRY_STATUSES = (408, 425, 429, 500, 502, 503, 504)
FENCE = re.compile(r"\s*```\w*\n(.*?)\n?```\s*", re.DOTALL)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which would send the words and the key to another host."""

    def redirect_request(self, *arguments: Any) -> None:
        """Refuse."""


class Http:
    """POST of `{"sentences": [[word, …], …]}`, answered by `{"results": […]}` with the tags or spans of each sentence.

    A further option is `sentences_per_call`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the options
        self,
        url: str,
        api_key: str | None = None,
        concurrency: int = 4,
        retries: int = 3,
        timeout_s: float = 30.0,
        sentences_per_call: int = 16,
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise ValueError("the URL of an endpoint must begin with https:// or http://")
        self.counts = {"calls": 0, "retries": 0}
        self._url, self._retries, self._timeout_s, self._size = url, retries, timeout_s, sentences_per_call
        key = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._headers = {"Content-Type": "application/json", **key}
        self._open = urllib.request.build_opener(NoRedirects).open
        self._pool = ThreadPoolExecutor(concurrency)

    def predict(self, sentences: Iterable[Sequence[str]]) -> Iterator[Any]:
        """The results, some sentences a call and some calls at a time."""
        sentences = [list(words) for words in sentences]
        parts = [sentences[at : at + self._size] for at in range(0, len(sentences), self._size)]
        for part, (results, counts) in zip(parts, self._pool.map(self.ask, parts)):
            self.counts = {name: number + counts.get(name, 0) for name, number in self.counts.items()}
            if len(results) != len(part):
                raise ValueError(f"the endpoint returns {len(results)} results for {len(part)} sentences")
            yield from results

    def ask(self, part: Sequence[Sequence[str]]) -> tuple[Any, dict[str, int]]:
        """The results of one call, and its counts."""
        reply, counts = self.post({"sentences": part})
        return reply["results"], counts

    def post(self, body: Any) -> tuple[Any, dict[str, int]]:
        """The endpoint's JSON reply. Retries after server errors, rate limits and lost connections."""
        request = urllib.request.Request(self._url, json.dumps(body).encode(), self._headers)
        for attempt in range(self._retries + 1):
            try:
                with self._open(request, timeout=self._timeout_s) as reply:
                    data = reply.read(MAX_BYTES + 1)
                break
            except OSError as error:
                if attempt == self._retries or getattr(error, "code", RETRY_STATUSES[0]) not in RETRY_STATUSES:
                    raise RuntimeError(f"the request to the endpoint failed: {error}") from None
                time.sleep(min(0.1 * 2**attempt, 5.0))
        if len(data) > MAX_BYTES:
            raise ValueError(f"the reply of the endpoint has more than {MAX_BYTES} bytes")
        return json.loads(data), {"calls": attempt + 1, "retries": attempt}

    def close(self) -> None:
        """Do not wait for calls in progress."""
        self._pool.shutdown(wait=False)


class OpenAIChat(Http):
    """A language model behind OpenAI's chat interface, one sentence per call.

    Further options: `model`; `prompt`, a file with the system message; `temperature`. The user message is a JSON list
    of words. The answer must be a JSON list of `[start word, end word, type]`; the end is exclusive, and a code fence
    around the list is allowed. Any other answer means no entities, and is counted in `parse_failures`.
    """

    def __init__(self, model: str, prompt: str, temperature: float = 0.0, **endpoint: Any) -> None:
        super().__init__(sentences_per_call=1, **endpoint)
        self.counts["parse_failures"] = 0
        self._system = {"role": "system", "content": Path(prompt).read_text(encoding="utf-8")}
        self._body = {"model": model, "temperature": temperature}

    def ask(self, part: Sequence[Sequence[str]]) -> tuple[Any, dict[str, int]]:
        """The spans of one sentence."""
        (words,) = part
        user = {"role": "user", "content": json.dumps(words, ensure_ascii=False)}
        reply, counts = self.post({**self._body, "messages": [self._system, user]})
        spans = spans_of(reply["choices"][0]["message"]["content"], len(words))
        return [spans or []], {**counts, "parse_failures": int(spans is None)}


def spans_of(answer: Any, n_words: int) -> list[tuple[int, int, str, None]] | None:
    """The spans in an answer; None unless it is a list of spans within `n_words` words that do not overlap."""
    try:
        fenced = FENCE.fullmatch(answer)
        found = [(start, end, kind) for start, end, kind in json.loads(fenced[1] if fenced else answer)]
        free = 0
        for start, end, kind in sorted(found):
            if not (type(start) is type(end) is int and free <= start < end <= n_words and re.fullmatch(r"\S+", kind)):
                return None
            free = end
        return [(*span, None) for span in found]
    except (TypeError, ValueError, RecursionError):
        return None
