"""A chat endpoint with OpenAI's interface. Options as those of `http`, and `model`, `prompt` (a file), `temperature`.

The prompt is the system message. The user message is a JSON list of words. The answer is to be a JSON list of
`[start word, end word, type]`, the end excluded, perhaps in a code fence; any other answer counts as no entities and in
`parse_failures`.
"""

import importlib.util
import json
import os
import re

spec = importlib.util.spec_from_file_location("nerbench_http", os.path.join(os.path.dirname(__file__), "http.py"))
http = importlib.util.module_from_spec(spec)
spec.loader.exec_module(http)
FENCE = re.compile(r"\A\s*```\w*\n(.*?)\n?```\s*\Z", re.DOTALL)


class Tagger(http.Tagger):
    """What a language model answers, one sentence a call."""

    def __init__(self, model, prompt, temperature=0.0, **endpoint):
        super().__init__(sentences_per_call=1, **endpoint)
        self.counts = dict(self.counts, parse_failures=0)
        with open(prompt, encoding="utf-8") as file:
            self._prompt = file.read()
        self._body = {"model": model, "temperature": temperature}

    def _ask(self, part):
        (words,) = part
        messages = [
            {"role": "system", "content": self._prompt},
            {"role": "user", "content": json.dumps(words, ensure_ascii=False)},
        ]
        reply, counts = self.post(dict(self._body, messages=messages))
        spans = parse(reply["choices"][0]["message"]["content"], len(words))
        return [spans or []], dict(counts, parse_failures=int(spans is None))


def parse(text, n_words):
    """The spans of an answer; None where it cannot be read as spans of so many words."""
    try:
        fenced = FENCE.match(text)
        spans = [(start, end, kind, None) for start, end, kind in json.loads(fenced.group(1) if fenced else text)]
        spans.sort()
        at = 0
        for start, end, kind, _ in spans:
            if not (type(start) is type(end) is int and at <= start < end <= n_words and re.fullmatch(r"\S+", kind)):
                return None
            at = end
        return spans
    except (TypeError, ValueError, RecursionError):
        return None
