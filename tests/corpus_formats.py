"""One small corpus written in every format that nerbench reads: own text, in the form of each format."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

Spans = list[tuple[int, int, str]]
"""First word, the one after the last, type; they do not overlap."""


class Sentence(NamedTuple):
    words: list[str]
    spans: Spans

    @property
    def tags(self) -> list[str]:
        tags = ["O"] * len(self.words)
        for start, end, label in self.spans:
            tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
        return tags

    @property
    def bilou(self) -> list[str]:
        tags = ["O"] * len(self.words)
        for start, end, label in self.spans:
            inside = [f"B-{label}"] + [f"I-{label}"] * (end - start - 2) + [f"L-{label}"]
            tags[start:end] = [f"U-{label}"] if end - start == 1 else inside
        return tags


Document = list[Sentence]
Documents = Sequence[Document]

SMALL: list[Document] = [
    [
        Sentence("Anna Berg left Oslo .".split(), [(0, 2, "PER"), (3, 4, "LOC")]),
        Sentence("The harbour was quiet .".split(), []),
    ],
    [Sentence("Nordwind AS pays Anna Berg Olsen .".split(), [(0, 2, "ORG"), (3, 6, "PER")])],
]


class Text(NamedTuple):
    """A document as one text: words with blanks between, sentences with line breaks."""

    text: str
    spans: list[tuple[int, int, str]]
    tokens: list[tuple[int, int]]


def as_text(document: Document) -> Text:
    text = ""
    spans, tokens = [], []
    for number, sentence in enumerate(document):
        text += "\n" if number else ""
        places = []
        for position, word in enumerate(sentence.words):
            text += " " if position else ""
            places.append((len(text), len(text) + len(word)))
            text += word
        tokens += places
        spans += [(places[start][0], places[end - 1][1], label) for start, end, label in sentence.spans]
    return Text(text, spans, tokens)


Write = Callable[[Documents, Path], None]


def _text(lines: Callable[[Documents], str], encoding: str = "utf-8") -> Write:
    return lambda documents, path: _write(path, lines(documents).encode(encoding))


def _write(path: Path, content: bytes) -> None:
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zst":
        content = pa.compress(content, codec="zstd", asbytes=True)
    path.write_bytes(content)


def _conll(documents: Documents, row: Callable[[int, str, str], str], marker: str, before: str = "") -> str:
    return "".join(
        f"{marker}\n\n" + "".join(f"{before}{_rows(sentence, row)}\n\n" for sentence in document)
        for document in documents
    )


def _rows(sentence: Sentence, row: Callable[[int, str, str], str]) -> str:
    pairs = zip(sentence.words, sentence.tags, strict=True)
    return "\n".join(row(number, word, tag) for number, (word, tag) in enumerate(pairs, 1))


def conll(documents: Documents) -> str:
    return _conll(documents, lambda _, word, tag: f"{word} {tag}", "-DOCSTART- O")


def conll2003(documents: Documents) -> str:
    return _conll(documents, lambda _, word, tag: f"{word} NN I-NP {tag}", "-DOCSTART- -X- -X- O")


def conllu(documents: Documents) -> str:
    def row(number: int, word: str, tag: str) -> str:
        line = "\t".join((str(number), word, *"_" * 7, tag))
        joined = "\t".join((f"{number}-{number + 1}", "joined", *"_" * 8))
        return f"{joined}\n{line}" if number == 1 else line

    return _conll(documents, row, "-DOCSTART-", "# sent_id = 1\n")


def conllu_plus(documents: Documents) -> str:
    text = _conll(documents, lambda number, word, tag: f"{number}\t{tag}\t{word}", "-DOCSTART-", "# text = x\n")
    return f"# global.columns = ID NER FORM\n{text}"


def germeval(documents: Documents) -> str:
    def row(number: int, word: str, tag: str) -> str:
        return f"{number}\t{word}\t{tag}\t{'B-LOCpart' if tag == 'B-PER' else 'O'}"

    return _conll(documents, row, "-DOCSTART-", "#\tn-tv.de [2010]\n")


def iob(documents: Documents) -> str:
    return "".join(
        "-DOCSTART-\n"
        + "".join(" ".join(f"{w}|NN|{t}" for w, t in zip(s.words, s.tags, strict=True)) + "\n" for s in document)
        for document in documents
    )


def _sentences(documents: Documents) -> list[dict[str, Any]]:
    return [
        {"tokens": sentence.words, "ner_tags": sentence.tags, "document": number}
        for number, document in enumerate(documents)
        for sentence in document
    ]


def _lines(items: Sequence[Any]) -> str:
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


def _texts(shape: Callable[[Text], dict[str, Any]]) -> Callable[[Documents], list[dict[str, Any]]]:
    return lambda documents: [shape(as_text(document)) for document in documents]


spans = _texts(lambda one: {"text": one.text, "entities": one.spans})
doccano = _texts(lambda one: {"id": 7, "text": one.text, "label": one.spans, "Comments": []})
doccano_relations = _texts(
    lambda one: {
        "text": one.text,
        "entities": [{"id": 1, "label": t, "start_offset": s, "end_offset": e} for s, e, t in one.spans],
        "relations": [],
    }
)
prodigy = _texts(
    lambda one: {
        "text": one.text,
        "tokens": [{"text": one.text[s:e], "start": s, "end": e, "id": n} for n, (s, e) in enumerate(one.tokens)],
        "spans": [{"start": s, "end": e, "label": t, "token_start": 0} for s, e, t in one.spans],
        "answer": "accept",
    }
)
spacy_doc = _texts(
    lambda one: {
        "text": one.text,
        "ents": [{"start": s, "end": e, "label": t} for s, e, t in one.spans],
        "tokens": [{"id": n, "start": s, "end": e} for n, (s, e) in enumerate(one.tokens)],
    }
)
label_studio = _texts(
    lambda one: {
        "id": 1,
        "data": {"text": one.text},
        "annotations": [
            {
                "was_cancelled": False,
                "result": [
                    {
                        "type": "labels",
                        "from_name": "label",
                        "to_name": "text",
                        "value": {"start": s, "end": e, "text": one.text[s:e], "labels": [t]},
                    }
                    for s, e, t in one.spans
                ],
            }
        ],
    }
)
label_studio_min = _texts(
    lambda one: {
        "text": one.text,
        "label": [{"start": s, "end": e, "text": one.text[s:e], "labels": [t]} for s, e, t in one.spans],
        "annotator": 1,
    }
)


def spacy_tuples(documents: Documents) -> list[Any]:
    return [[one["text"], {"entities": one["entities"]}] for one in spans(documents)]


def spacy_v2(documents: Documents) -> list[Any]:
    return [
        {
            "id": number,
            "paragraphs": [
                {"sentences": [{"tokens": [{"orth": w, "ner": t} for w, t in zip(s.words, s.bilou, strict=True)]}]}
                for s in document
            ],
        }
        for number, document in enumerate(documents)
    ]


def csv_words(documents: Documents) -> str:
    rows: list[Sequence[Any]] = [("Sentence #", "Word", "POS", "Tag", "Document")]
    number = 0
    for document, sentences in enumerate(documents):
        for sentence in sentences:
            number += 1
            rows += [
                (f"Sentence: {number}" if not position else "", word, "NN", tag, document)
                for position, (word, tag) in enumerate(zip(sentence.words, sentence.tags, strict=True))
            ]
    return _csv(rows)


def csv_spans(documents: Documents) -> str:
    return _csv([("text", "entities"), *((one["text"], json.dumps(one["entities"])) for one in spans(documents))])


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _parquet(rows: Callable[[Documents], list[dict[str, Any]]]) -> Write:
    return lambda documents, path: pq.write_table(pa.Table.from_pylist(rows(documents)), path)


features = _texts(
    lambda one: {"text": one.text, "spans": [{"start": s, "end": e, "label": t} for s, e, t in one.spans]}
)


def _as_dataset(*, nested: bool) -> Write:
    """Spans with a ClassLabel: a list of dictionaries, or, as `Sequence` has them, a dictionary of lists."""

    def write(documents: Documents, path: Path) -> None:
        import datasets

        rows = features(documents)
        labels = sorted({span["label"] for row in rows for span in row["spans"]}) or ["X"]
        number = datasets.Value("int32")
        span = {"start": number, "end": number, "label": datasets.ClassLabel(names=labels)}
        if not nested:
            rows = [row | {"spans": {key: [one[key] for one in row["spans"]] for key in span}} for row in rows]
        kinds = {"text": datasets.Value("string"), "spans": datasets.List(span) if nested else datasets.Sequence(span)}
        datasets.disable_progress_bars()
        datasets.Dataset.from_list(rows, features=datasets.Features(kinds)).to_parquet(str(path))

    return write


def brat(documents: Documents, path: Path) -> None:
    path.mkdir()
    for number, document in enumerate(documents):
        one = as_text(document)
        (path / f"doc{number:05}.txt").write_text(one.text, encoding="utf-8", newline="")
        lines = [
            f"T{n}\t{label} {start} {end}\t{one.text[start:end]}\n" for n, (start, end, label) in enumerate(one.spans)
        ]
        (path / f"doc{number:05}.ann").write_text("".join(lines) + "A1\tSure T0\n", encoding="utf-8", newline="")


class Form(NamedTuple):
    """A format as people know it."""

    name: str
    file: str
    """`{}` is the split."""
    write: Write
    answers: tuple[str, ...] = ()
    """Answers that `init` needs in addition."""


WHITESPACE = ("tokenizer=whitespace",)
FORMS = (
    Form("JSON lines with spans", "{}.jsonl", _text(lambda d: _lines(spans(d))), WHITESPACE),
    Form("JSON array with spans", "{}.json", _text(lambda d: json.dumps(spans(d), indent=1)), WHITESPACE),
    Form("Doccano", "{}.jsonl", _text(lambda d: _lines(doccano(d))), WHITESPACE),
    Form("Doccano with relations", "{}.jsonl", _text(lambda d: _lines(doccano_relations(d))), WHITESPACE),
    Form("Prodigy", "{}.jsonl", _text(lambda d: _lines(prodigy(d)))),
    Form("Label Studio, JSON", "{}.json", _text(lambda d: json.dumps(label_studio(d))), WHITESPACE),
    Form("Label Studio, JSON-MIN", "{}.json", _text(lambda d: json.dumps(label_studio_min(d))), WHITESPACE),
    Form("spaCy 2, pairs", "{}.json", _text(lambda d: json.dumps(spacy_tuples(d))), WHITESPACE),
    Form("spaCy 2, documents", "{}.json", _text(lambda d: json.dumps(spacy_v2(d)))),
    Form("spaCy 3, `Doc.to_json`", "{}.jsonl", _text(lambda d: _lines(spacy_doc(d)))),
    Form(
        "spaCy 3, annotator",
        "{}.json",
        _text(lambda d: json.dumps({"classes": ["PER"], "annotations": spacy_tuples(d)})),
        WHITESPACE,
    ),
    Form("Hugging Face, list of spans", "{}.parquet", _as_dataset(nested=True), WHITESPACE),
    Form("Hugging Face, sequence of spans", "{}.parquet", _as_dataset(nested=False), WHITESPACE),
    Form("Parquet with spans", "{}.parquet", _parquet(features), WHITESPACE),
    Form("Parquet, one sentence per row", "{}.parquet", _parquet(_sentences), ("columns.document=document",)),
    Form(
        "JSON lines, one sentence per line",
        "{}.jsonl",
        _text(lambda d: _lines(_sentences(d))),
        ("columns.document=document",),
    ),
    Form("BRAT", "{}", brat, WHITESPACE),
    Form("CSV with spans", "{}.csv", _text(csv_spans), WHITESPACE),
    Form("CSV, one word per row", "{}.csv", _text(csv_words), ("columns.document=Document",)),
    Form("CoNLL", "{}.conll", _text(conll)),
    Form("CoNLL-2002, CoNLL-2003", "eng.{}", _text(conll2003, "latin-1")),
    Form("CoNLL-U", "{}.conllu", _text(conllu)),
    Form("CoNLL-U Plus", "{}.conllup", _text(conllu_plus)),
    Form("GermEval 2014", "{}.tsv", _text(germeval)),
    Form("`word|TAG`", "{}.iob", _text(iob)),
    Form("CoNLL, compressed", "{}.txt.gz", _text(conll)),
    Form("JSON lines, compressed", "{}.jsonl.zst", _text(lambda d: _lines(spans(d))), WHITESPACE),
)
