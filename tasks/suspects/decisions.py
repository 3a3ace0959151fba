"""Decisions on suspects, as an annotation tool exports them, become another annotation of the same words.

A decision is the reviewed sentence: its entities replace those of the annotation. What was not accepted (a rejected or
ignored example of Prodigy, a task of Label Studio without annotation or with a cancelled one) leaves the annotation as
it is.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.json_files import json_items, label_studio_texts, place_of
from nerbench.tasks.data.readers import MARKER, shortened
from nerbench.tasks.data.spans import SpanReader, Text
from nerbench.tasks.data.words import joined

Tags = list[str]
_SPANS = ("spans", "label", "labels", "entities")
_REMEDY = "import what the tool exports after `nerbench suspects export`"


class Decisions(NamedTuple):
    """What a file decides."""

    tags: Mapping[int, Tags]
    """The tags of each reviewed sentence, by its number."""
    n_open: int
    """Tasks without a decision."""


def read_decisions(path: str, corpus: Corpus) -> Decisions:
    """The decisions in an export of Doccano, Label Studio or Prodigy, local or any fsspec URL.

    Raises CorpusError for a task that belongs to other words or has no sentence, for spans that cut a word or overlap,
    and for two different decisions on one sentence.
    """
    config = DatasetConfig(name="decisions", format="json", files={"test": path}, tokenizer="file", invalid="refuse")
    reader = SpanReader(config=config)
    found: dict[int, Tags] = {}
    n_open = 0
    for number, item in json_items(path, config.encoding):
        at = place_of(path, number)
        if not isinstance(item, dict):
            raise CorpusError(at, f"is not a JSON object: {shortened(item)}", _REMEDY)
        sentence = _sentence(item, at, corpus)
        given = _decided(item, number, at)
        if given is None:
            n_open += 1
            continue
        text, words = joined(corpus.words[sentence])
        if given.text != text:
            problem = f"its text is not that of sentence {sentence} of {corpus.name}: {shortened(given.text)}"
            raise CorpusError(at, problem, _REMEDY)
        tokens = [{"start": word.start, "end": word.end} for word in words]
        (read,) = reader.read(given._replace(tokens=tokens), at, None)
        if found.setdefault(sentence, read.tags) != read.tags:
            raise CorpusError(at, f"an earlier task decides differently on sentence {sentence}", "keep one of them")
    reader.finish()
    return Decisions(found, n_open)


def _sentence(item: Mapping[str, Any], at: str, corpus: Corpus) -> int:
    """The number of the sentence that a task is about."""
    places = [item, *(part for name in ("data", "meta") if isinstance(part := item.get(name), dict))]
    about = {name: next((one[name] for one in places if name in one), None) for name in ("sentence", "words_sha256")}
    number = about["sentence"]
    if type(number) is not int or not 0 <= number < len(corpus.words):
        raise CorpusError(at, f"there is no sentence {shortened(number)} in {corpus.name}", _REMEDY)
    if about["words_sha256"] not in (None, corpus.words_sha256):
        raise CorpusError(at, f"is about other words than {corpus.name}, {corpus.split}", "name its data set and split")
    return number


def _decided(item: Mapping[str, Any], number: int, at: str) -> Text | None:
    """The reviewed text; None without a decision."""
    if "data" in item:
        return next(label_studio_texts(item, number, at), None)
    if item.get("answer", "accept") != "accept":
        return None
    spans = next((item[name] for name in _SPANS if name in item), None)
    if spans is None:
        raise CorpusError(at, f"has no spans: {shortened(item)}", _REMEDY)
    return Text(number, item.get("text"), spans, None, None)


def conll_lines(corpus: Corpus, decisions: Decisions, separator: str) -> Iterator[str]:
    """The annotation with the decisions, sentence by sentence, as a CoNLL file of words and IOB2 tags.

    Raises CorpusError for words that such a file cannot hold.
    """
    document = None
    for number, (words, tags) in enumerate(zip(corpus.words, corpus.tags, strict=True)):
        if corpus.documents is not None and corpus.documents[number] != document:
            document = corpus.documents[number]
            yield f"{MARKER}{separator}O\n\n"
        if broken := [word for word in words if {*word} & {*" \t\r\n"}]:
            problem = f"the word {broken[0]!r} of sentence {number} has white space, which a CoNLL file cannot hold"
            raise CorpusError(corpus.name, problem, "use words without white space to write an annotation")
        lines = zip(words, decisions.tags.get(number, tags), strict=True)
        yield "".join(f"{word}{separator}{tag}\n" for word, tag in lines) + "\n"
