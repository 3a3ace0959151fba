"""Suspects as tasks of annotation tools: one task per sentence, with the proposed corrections made already.

A task has the number of its sentence and the digest of the words beside the text, so that `decisions` finds the
sentence again. Offsets count characters of the words joined by blanks.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.tag_schemes import mentions_of
from nerbench.tasks.data.words import Word, joined
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.suspects.wording import in_words

Tool = Literal["doccano", "label-studio", "prodigy"]
Plain = dict[str, Any]


class Task(NamedTuple):
    """A sentence to decide on."""

    text: str
    words: list[Word]
    spans: list[tuple[int, int, str]]
    """First word, word after the last one, and type."""
    about: Plain
    """Number of the sentence, digest of the words, score, and the suspects in words."""


def tasks_of(rows: Iterable[Row], corpus: Corpus) -> Iterator[Task]:
    """A task for each sentence with suspects, in the order of its most suspect one. `rows` are in their order.

    Raises CorruptArtifactError for a suspect that is not in the corpus.
    """
    by_sentence: dict[int, list[Row]] = {}
    for row in rows:
        _check_place(row, corpus)
        by_sentence.setdefault(row["sentence"], []).append(row)
    for number, of_sentence in by_sentence.items():
        text, words = joined(corpus.words[number])
        inside = [(row["start"], row["end"]) for row in of_sentence]
        kept = [one for one in mentions_of(corpus.tags[number]) if not any(s <= one[0] < e for s, e in inside)]
        proposed = [
            span
            for row in of_sentence
            for span in zip(row["proposed_start"], row["proposed_end"], row["proposed_label"], strict=True)
        ]
        about = {
            "sentence": number,
            "words_sha256": corpus.words_sha256,
            "score": round(of_sentence[0]["score"], 3),
            "suspects": "\n".join(map(_described, of_sentence)),
        }
        yield Task(text, words, sorted([*kept, *proposed]), about)


def _check_place(row: Row, corpus: Corpus) -> None:
    number, ends = row["sentence"], row["proposed_end"]
    is_damaged = None in (number, row["start"], row["end"], ends)
    if is_damaged or not 0 <= number < len(corpus.words) or max(row["end"], *ends, 0) > len(corpus.words[number]):
        problem = f"suspect {row['position']} of {corpus.name} is not in its words"
        raise CorruptArtifactError(f"{problem}; rank again with `nerbench suspects`")


def export(tasks: Iterable[Task], tool: Tool) -> Iterator[bytes]:
    """The file for a tool: JSON lines, and one JSON array for Label Studio, which imports no lines."""
    made = map(_MAKERS[tool], tasks)
    if tool == "label-studio":
        yield json.dumps(list(made), ensure_ascii=False, indent=1).encode() + b"\n"
        return
    for one in made:
        yield json.dumps(one, ensure_ascii=False).encode() + b"\n"


def _described(row: Row) -> str:
    gold, proposed, why = in_words(row)
    return f"{row['text'] or ''}: {gold} → {proposed} ({why})"


def _characters(task: Task) -> list[tuple[int, int, str]]:
    return [(task.words[start].start, task.words[end - 1].end, kind) for start, end, kind in task.spans]


def _doccano(task: Task) -> Plain:
    return {"text": task.text, "label": [list(span) for span in _characters(task)], **task.about}


def _prodigy(task: Task) -> Plain:
    return {
        "text": task.text,
        "tokens": [
            {"text": word.text, "start": word.start, "end": word.end, "id": number, "ws": True}
            for number, word in enumerate(task.words)
        ],
        "spans": [
            {"start": start, "end": end, "token_start": first, "token_end": after - 1, "label": kind}
            for (start, end, kind), (first, after, _) in zip(_characters(task), task.spans, strict=True)
        ],
        "meta": {name: task.about[name] for name in ("sentence", "score", "suspects")},
        **{name: task.about[name] for name in ("sentence", "words_sha256")},
    }


def _label_studio(task: Task) -> Plain:
    results = [
        {
            "from_name": "label",
            "to_name": "text",
            "type": "labels",
            "value": {"start": start, "end": end, "text": task.text[start:end], "labels": [kind]},
        }
        for start, end, kind in _characters(task)
    ]
    prediction = {"model_version": "nerbench suspects", "score": task.about["score"], "result": results}
    return {"data": {"text": task.text, **task.about}, "predictions": [prediction]}


_MAKERS: Mapping[Tool, Callable[[Task], Plain]] = {
    "doccano": _doccano,
    "label-studio": _label_studio,
    "prodigy": _prodigy,
}
