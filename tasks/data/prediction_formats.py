"""Reads predictions that another tool made for the words of a corpus, for `nerbench predictions import`.

| file | a word's tag |
| --- | --- |
| CoNLL text | the last column |
| Parquet, or JSON lines with lists of words and tags | `pred_tags`, `predictions`, `ner_tags` or `tags` |
| JSON lines with `text` and `entities` or `spans` | the span that covers it; `start` and `end` count characters |
| JSON lines with `tokens` or `words`, and `entities` or `spans` | the same; `start` and `end` count words |
| the output of `nerbench predict --json` | `tag` of its token |
| the table `predictions`, exported as Parquet | `pred_tag` |

A span is `[start, end, label]` or an object; `end` is the position after its last character or word.
"""

import json
import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nerbench.artifacts.errors import CorpusError
from nerbench.artifacts.tables.parquet_bounds import open_footer, read_table
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.arrow_cache import Column
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.parquet_files import corpus_error_if_unreadable
from nerbench.tasks.data.readers import Sentence, Source, read_splits, shortened
from nerbench.tasks.data.spans import Span, iob2_tags, span_fields
from nerbench.tasks.data.tag_schemes import Declared
from nerbench.tasks.data.text_files import open_file, read_lines

PredictionFormat = Literal["conll", "parquet", "json"]
_SUFFIXES: Mapping[str, PredictionFormat] = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
}
_PREDICTED = ("pred_tags", "predictions", "ner_tags", "tags")
"""Names of a list of tags. In a file that also contains the annotation, predictions have one of the first two."""
_EXPORTED = frozenset({"model", "words_sha256", "predictions_digest", "gold", "sentence", "word", "pred_tag"})
_WORDS, _SPANS = ("tokens", "words"), ("entities", "spans")
_VISIBLE = re.compile(r"\S")
_LABEL = ("label", "type", "entity_group", "entity")


class PredictionSource(NamedTuple):
    """Sentences with predicted tags, which can be read once."""

    source: Source
    scores: "array[float]"
    """One score per word read so far, NaN if unknown; empty if the format has no scores."""
    scheme: Declared
    """`iob2` for formats that always use it, otherwise `auto`."""


def format_of(path: str) -> PredictionFormat:
    """The format that belongs to the suffix of a file; CoNLL text for unknown suffixes."""
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower(), "conll")


def read_predictions_of(path: str, format: PredictionFormat, model: str, corpus: Corpus) -> PredictionSource:
    """The predictions in a file (a path or an fsspec URL).

    `model`: the model to select in a table of several models. Raises CorpusError, also during reading.
    """
    scores = array("f")
    if format == "parquet" and (names := _column_names(path)) >= _EXPORTED:
        sentences = _read_export(path, model, corpus, scores)
        source = Source(path, sentences, lambda at, word: f"{path} word {at + word}")
        return PredictionSource(source, scores, "iob2")
    if format == "json":
        first = _first_object(path)
        if any(key in first for key in _SPANS) or isinstance(next(iter(_items(first, "tokens")), None), dict):
            sentences = _read_objects(path, corpus, scores)
            return PredictionSource(
                Source(path, sentences, lambda at, word: f"{path}:{at} word {word}"), scores, "iob2"
            )
        names = frozenset(first)
    config = DatasetConfig(name="predictions", format=format, files={"test": path})
    if format != "conll":
        tags = next((name for name in _PREDICTED if name in names), "tags")
        config = config.model_copy(update={"columns": {"tags": tags}})
    return PredictionSource(read_splits(config)["test"], scores, "auto")


def _column_names(path: str) -> frozenset[str]:
    with closing(open_file(path)) as file, corpus_error_if_unreadable(path, "is not a Parquet file"):
        return frozenset(open_footer(file).schema_arrow.names)


def _read_export(path: str, model: str, corpus: Corpus, scores: "array[float]") -> Iterator[Sentence]:
    """The words of the corpus with the tags of one model in a table `predictions`."""
    with closing(open_file(path)) as file, corpus_error_if_unreadable(path, "cannot be read"):
        table = _of_one_model(path, read_table(file, {*_EXPORTED, "text", "score"}), model, corpus)
    texts = table["text"] if "text" in table.column_names and table["text"].null_count == 0 else None
    words = (Column.of(corpus.words).flat if texts is None else texts).to_pylist()
    tags, sentence = table["pred_tag"].to_pylist(), table["sentence"].to_numpy()
    known = table["score"].to_pylist() if "score" in table.column_names else [None] * len(words)
    scores.extend(_score(score, path) for score in known)
    bounds = [0, *(np.flatnonzero(np.diff(sentence)) + 1).tolist(), len(words)]
    for start, end in pairwise(bounds):
        yield Sentence(words[start:end], tags[start:end], None, start)


def _of_one_model(path: str, table: pa.Table, model: str, corpus: Corpus) -> pa.Table:
    """The rows of one model on the words of the corpus, in their order. Raises CorpusError."""
    types = {"sentence": pa.int32(), "word": pa.int32(), "score": pa.float32()}
    fields = [pa.field(name, types.get(name, pa.string())) for name in table.column_names]
    table = table.cast(pa.schema(fields))
    table = table.filter(pc.equal(table["words_sha256"], corpus.words_sha256))
    if not table.num_rows:
        problem = f"holds no predictions for the words of {corpus.name}, {corpus.split} (sha256 {corpus.words_sha256})"
        raise CorpusError(path, problem, "name the data set and the split that were predicted")
    if len(models := sorted(pc.unique(table["model"]).to_pylist())) > 1:
        table = table.filter(pc.equal(table["model"], model))
        if not table.num_rows:
            raise CorpusError(path, f"holds predictions of {', '.join(models)}", "name one of them with --model")
    if len(pc.unique(table["predictions_digest"])) > 1:
        problem = f"holds several predictions of {table['model'][0]}"
        raise CorpusError(path, problem, "keep the rows of one `predictions_digest`")
    table = table.filter(pc.equal(table["gold"], table["gold"][0])).sort_by("word")
    if table["word"].to_pylist() != [*range(corpus.n_words)]:
        problem = f"has {table.num_rows} words instead of 0 to {corpus.n_words - 1}"
        raise CorpusError(path, problem, "export the table `predictions` again")
    if table["pred_tag"].null_count or table["sentence"].null_count:
        raise CorpusError(path, "has words without a tag or a sentence", "export the table `predictions` again")
    return table


def _first_object(path: str) -> dict[str, Any]:
    for number, line in enumerate(read_lines(path, "utf-8"), start=1):
        if line.strip():
            return _object(line, f"{path}:{number}")
    return {}


def _object(line: str, at: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(at, f"is not valid JSON ({error}): {shortened(line)}", "write one object per line") from error
    if not isinstance(row, dict):
        raise CorpusError(at, f"is not a JSON object: {shortened(line)}", "write one object per line")
    return row


def _items(row: Mapping[str, Any], *names: str) -> list[Any]:
    """The list under the first of these names that the row has; empty if it has none."""
    value: Any = next((row[name] for name in names if name in row), [])
    return value if isinstance(value, list) else []


def _read_objects(path: str, corpus: Corpus, scores: "array[float]") -> Iterator[Sentence]:
    """The sentences of JSON lines with spans, or of `nerbench predict --json`."""
    aligned = _Alignment(corpus)
    for number, line in enumerate(read_lines(path, "utf-8"), start=1):
        if not line.strip():
            continue
        row, at = _object(line, f"{path}:{number}"), f"{path}:{number}"
        words = _items(row, *_WORDS)
        if words and all(isinstance(word, dict) and {"text", "tag"} <= {*word} for word in words):
            scores.extend(_score(word.get("score"), at) for word in words)
            yield Sentence([word["text"] for word in words], [str(word["tag"]) for word in words], None, number)
        elif isinstance(text := row.get("text"), str):
            spans = [_span(span, at) for span in _items(row, *_SPANS)]
            for sentence, places in aligned.sentences_of(text, at):
                inside = [one for one in spans if one.end > places[0][0] and one.start < places[-1][1]]
                yield Sentence(
                    sentence, _tags(_of_words(inside, places, text, at), len(places), at, scores), None, number
                )
                spans = [one for one in spans if one not in inside]
            if spans:
                raise CorpusError(at, f"the span {spans[0].start}–{spans[0].end} covers no word", "correct it")
        elif words and all(isinstance(word, str) for word in words):
            spans = [_span(span, at) for span in _items(row, *_SPANS)]
            yield Sentence(words, _tags(spans, len(words), at, scores), None, number)
        else:
            raise CorpusError(at, f"has neither text nor words: {shortened(line)}", "give `text` or `tokens`")


def _score(value: Any, at: str) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise CorpusError(at, f"the score {shortened(value)} is not in 0…1", "correct it, or leave scores out")
    return float(value)


def _span(value: Any, at: str) -> Span:
    start, end, label = span_fields(value, at, _LABEL)
    if not isinstance(label, str) or not 0 <= start < end:
        raise CorpusError(at, f"{shortened(value)} is not a span", 'write e.g. {"start": 0, "end": 4, "label": "PER"}')
    return Span(start, end, label, _score(value.get("score") if isinstance(value, dict) else None, at))


def _of_words(spans: Sequence[Span], places: Sequence[tuple[int, int]], text: str, at: str) -> list[Span]:
    """Spans of characters as spans of words."""
    starts = {start: number for number, (start, _) in enumerate(places)}
    ends = {end: number + 1 for number, (_, end) in enumerate(places)}
    cut = [one for one in spans if one.start not in starts or one.end not in ends]
    if cut:
        first = cut[0]
        problem = f"the span {first.start}–{first.end} ({shortened(text[first.start : first.end])}) cuts a word"
        more = f", and {len(cut) - 1} more do" if len(cut) > 1 else ""
        raise CorpusError(at, f"{problem} of the corpus{more}", "move its ends to the ends of words")
    return [one._replace(start=starts[one.start], end=ends[one.end]) for one in spans]


def _tags(spans: Sequence[Span], n_words: int, at: str, scores: "array[float]") -> list[str]:
    """One IOB2 tag per word. Adds the scores of the words to `scores`. Raises CorpusError for overlapping spans."""
    known, end = [math.nan] * n_words, 0
    for span in sorted(spans, key=lambda span: span.start):
        if span.end > n_words:
            raise CorpusError(at, f"the span {span.start}–{span.end} ends after the last word", "correct it")
        if span.start < end:
            problem = f"the span {span.start}–{span.end} ({span.label}) overlaps another one"
            raise CorpusError(at, problem, "keep one of them: each word has one tag")
        known[span.start : span.end] = [span.score] * (span.end - span.start)
        end = span.end
    scores.extend(known)
    return iob2_tags(spans, n_words)


class _Alignment:
    """Finds the words of a corpus in texts, sentence by sentence."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._sentences = enumerate(corpus.words)

    def sentences_of(self, text: str, at: str) -> Iterator[tuple[list[str], list[tuple[int, int]]]]:
        """The sentences in a text, with the start and the end of each word."""
        end = 0
        while rest := _VISIBLE.search(text, end):
            number, words = next(self._sentences, (-1, []))
            if number < 0:
                problem = f"{shortened(text[rest.start() :])} follows the last sentence of {self._corpus.name}"
                raise CorpusError(at, problem, f"give the texts of its {len(self._corpus.words)} sentences")
            places = []
            for position, word in enumerate(words):
                start = found.start() if (found := _VISIBLE.search(text, end)) else len(text)
                if not text.startswith(word, start):
                    there = shortened(text[start : start + 40]) if text[start:] else "the end of the text"
                    place = f"(sentence {number}, word {position})"
                    problem = f"found {there}, but {self._corpus.name} has {word!r} {place}"
                    raise CorpusError(at, problem, "give the text of whole sentences of the corpus, in its order")
                places.append((start, end := start + len(word)))
            yield words, places
