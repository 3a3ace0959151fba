"""An HTTP endpoint: POST `{"sentences": [[word, …], …]}`, answered by `{"results": [[tag, …] or [[start, end, type, score], …], …]}`.

Options: `url`, `concurrency`, `retries`, `timeout_s` of one call, `sentences_per_call`, `headers` (no credentials).
"""

import json
import os
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

MAX_BYTES = 8 << 20
AGAIN = (408, 425, 429, 500, 502, 503, 504)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take the text, and the key, to another host."""

    def redirect_request(self, *arguments):
        return None


class Tagger:
    """What the endpoint says."""

    def __init__(self, url, api_key_variable=None, concurrency=4, retries=3, timeout_s=30.0, sentences_per_call=16, headers=None):
        self.counts = {"calls": 0, "retries": 0}
        self._url, self._retries, self._timeout_s, self._size = url, retries, timeout_s, sentences_per_call
        self._headers = dict(headers or {}, **{"Content-Type": "application/json"})
        if api_key_variable:
            self._headers["Authorization"] = "Bearer " + os.environ[api_key_variable]
        self._open = urllib.request.build_opener(NoRedirects).open
        self._pool = ThreadPoolExecutor(concurrency)

    def predict(self, sentences):
        """The results, some sentences a call and some calls at a time."""
        sentences = [list(words) for words in sentences]
        parts = [sentences[at : at + self._size] for at in range(0, len(sentences), self._size)]
        for part, (results, counts) in zip(parts, self._pool.map(self._ask, parts)):
            self.counts = {name: self.counts[name] + counts[name] for name in self.counts}
            if len(results) != len(part):
                raise ValueError("the endpoint gives {} results for {} sentences".format(len(results), len(part)))
            yield from results

    def _ask(self, part):
        reply, counts = self.post({"sentences": part})
        return reply["results"], counts

    def post(self, body):
        """The endpoint's JSON, and the number of calls; server errors, limits and lost connections are tried again."""
        request = urllib.request.Request(self._url, json.dumps(body).encode(), self._headers)
        for attempt in range(self._retries + 1):
            try:
                with self._open(request, timeout=self._timeout_s) as reply:
                    data = reply.read(MAX_BYTES + 1)
                break
            except OSError as error:
                status = getattr(error, "code", None)
                if attempt == self._retries or (status is not None and status not in AGAIN):
                    raise RuntimeError("the endpoint fails: {}".format(error)) from None
                time.sleep(min(0.1 * 2**attempt, 5.0))
        if len(data) > MAX_BYTES:
            raise ValueError("the endpoint's reply has more than {} bytes".format(MAX_BYTES))
        return json.loads(data), {"calls": attempt + 1, "retries": attempt}

    def close(self):
        """Stop waiting for calls."""
        self._pool.shutdown(wait=False)
