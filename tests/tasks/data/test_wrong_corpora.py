"""Users' mistakes in data sets: each one is one line that names place and remedy, and exit status 2."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.data.corpus_refs import describe

Content = str | bytes | dict[str, Any] | list[Any]


class Mistake(NamedTuple):
    """A data set (and its gold) in a configuration, its files, and the expected parts of the line."""

    name: str
    dataset: dict[str, Any]
    files: dict[str, Content]
    """By name: text, bytes, columns of a Parquet file, or the objects of JSON lines."""
    fragments: tuple[str, ...]
    gold: dict[str, Any] | None = None


PARQUET = {"format": "parquet", "files": {"test": "a.parquet"}}
JSON = {"format": "json", "files": {"test": "a.jsonl"}}
CONLL = {"files": {"test": "a.txt"}}
LOADER = {"loader": "wrong_corpus:load"}
OK = {"tokens": ["Ada"], "ner_tags": ["B-PER"]}

MISTAKES = [
    Mistake(
        "no parquet", PARQUET, {"a.parquet": "Ada B-PER\n"}, ("/a.parquet: is not a Parquet file", "check the `format`")
    ),
    Mistake(
        "parquet without the column",
        PARQUET,
        {"a.parquet": {"id": [1], "text": [["Ada"]], "ner_tags": [["O"]]}},
        ("/a.parquet: there is no column 'tokens' or 'words'", "columns.words can be one of id, text, ner_tags"),
    ),
    Mistake(
        "declared column that is not there",
        PARQUET | {"columns": {"document": "doc"}},
        {"a.parquet": {"tokens": [["Ada"]], "ner_tags": [["O"]]}},
        ("there is no column 'doc'", "columns.document can be one of tokens, ner_tags"),
    ),
    Mistake(
        "numbers without names",
        PARQUET,
        {"a.parquet": {"tokens": [["Ada"]], "ner_tags": [[1]]}},
        ("ner_tags holds integers without names", "declare the data set's `labels`, e.g. [O, B-PER, I-PER]"),
    ),
    Mistake(
        "sentences as text",
        PARQUET,
        {"a.parquet": {"tokens": ["Ada L."], "ner_tags": [["O"]]}},
        ("tokens is not a column of lists of words, but of string", "columns.words"),
    ),
    Mistake(
        "too few tags",
        PARQUET,
        {"a.parquet": {"tokens": [["Ada"], ["Ada", "L."]], "ner_tags": [["O"], ["O"]]}},
        ("/a.parquet row 1: 2 words have 1 tags: ['Ada', 'L.'], ['O']", "one tag per word is needed"),
    ),
    Mistake(
        "a null word",
        PARQUET,
        {"a.parquet": {"tokens": [["Ada", None]], "ner_tags": [["O", "O"]]}},
        ("/a.parquet row 0 word 1: None is not a string: ['Ada', None]",),
    ),
    Mistake(
        "lists in a JSON array",
        JSON,
        {"a.jsonl": json.dumps([[OK]])},
        ("/a.jsonl item 0: is a JSON list, not an object", "jq -c '.[]'"),
    ),
    Mistake(
        "a broken line",
        JSON,
        {"a.jsonl": '{"tokens": ["Ada"], "ner_tags": ["O"]}\n\n{"tokens": ["Ada",\n'},
        ("/a.jsonl:3: is not valid JSON (", '{"tokens": ["Ada",', "one object per line"),
    ),
    Mistake(
        "a line without tags", JSON, {"a.jsonl": [OK, {"tokens": ["L."]}]}, ("/a.jsonl:2: there is no 'ner_tags'", "L.")
    ),
    Mistake(
        "a number too large",
        JSON | {"labels": ["O", "B-PER"]},
        {"a.jsonl": [{"tokens": ["Ada", "L."], "ner_tags": [1, 2]}]},
        ("/a.jsonl:1 word 1: the tag 2 is none of the 2 labels 'O, B-PER'", "correct the data set's `labels`"),
    ),
    Mistake(
        "a tag that is true",
        JSON,
        {"a.jsonl": [{"tokens": ["Ada"], "ner_tags": [True]}]},
        ("the tag True is not a string",),
    ),
    Mistake(
        "words in one string",
        JSON,
        {"a.jsonl": [{"tokens": "Ada L.", "ner_tags": ["O", "O"]}]},
        ("/a.jsonl:1: words are not a list but str: 'Ada L.'", "give words as a list"),
    ),
    Mistake(
        "a document that comes again",
        JSON | {"columns": {"document": "doc"}},
        {"a.jsonl": [OK | {"doc": "x"}, OK | {"doc": "y"}, OK | {"doc": "x"}]},
        ("/a.jsonl:3: the document 'x' comes again after another one", "keep the sentences of a document together"),
    ),
    Mistake(
        "a sentence of no document",
        JSON | {"columns": {"document": "doc"}},
        {"a.jsonl": [OK | {"doc": "x"}, OK | {"doc": None}]},
        ("/a.jsonl:2: names no document", "of every sentence or of none"),
    ),
    Mistake(
        "half a character",
        JSON,
        {"a.jsonl": [OK, {"tokens": ["\ud800"], "ner_tags": ["O"]}]},
        ("/a.jsonl:2 word 0: the wo",),
    ),
    Mistake("nothing in it", JSON, {"a.jsonl": "\n"}, ("/a.jsonl: holds no sentence",)),
    Mistake(
        "another encoding", JSON, {"a.jsonl": b'{"tokens": ["\xf6"]}'}, ("/a.jsonl:1: the byte 0xf6", "`encoding`")
    ),
    Mistake(
        "no such module",
        LOADER,
        {},
        ("loader wrong_corpus:load: it cannot be imported (ModuleNotFoundError",),
    ),
    Mistake(
        "no such function",
        LOADER,
        {"wrong_corpus.py": "def lode(split): ..."},
        ("has no 'load'", "choose among lode"),
    ),
    Mistake("no function", LOADER, {"wrong_corpus.py": "load = []"}, ("is not a function but list", "name a function")),
    Mistake(
        "a loader that fails",
        LOADER,
        {"wrong_corpus.py": "def load(split):\n    yield ['a'], ['O']\n    1 / 0\n"},
        ("(train) sentence 1: failed with ZeroDivisionError: division by zero", "correct it at", "wrong_corpus.py:3"),
    ),
    Mistake(
        "words without tags",
        LOADER,
        {"wrong_corpus.py": "def load(split):\n    yield 'Ada'\n"},
        ("(train) sentence 0: 'Ada' is neither a pair nor has words and tags",),
    ),
    Mistake(
        "a loader of nothing", LOADER, {"wrong_corpus.py": "def load(split): ..."}, ("gives no sentence of any split",)
    ),
    Mistake("no module:function", {"loader": "wrong_corpus.load"}, {}, ("datasets[0].loader: 'wrong_corpus.load'",)),
    Mistake(
        "two sources", LOADER | CONLL, {}, ("`files` has no effect on a loader data set, which has loader, options",)
    ),
    Mistake("no source", {"format": "json"}, {}, ("a json data set needs `files`", "{test: data/test.txt}")),
    Mistake(
        "an idle field",
        CONLL | {"labels": ["O"]},
        {"a.txt": "a O\n"},
        ("`labels` has no effect on a conll data set",),
    ),
    Mistake(
        "a scheme and another",
        CONLL,
        {"a.txt": "Ada B-PER\nL. I-PER\n\nBonn S-LOC\n"},
        (
            "/a.txt:4: a tag has a letter of BIOES, but at",
            "/a.txt:2 an entity ends with B- or I- as in IOB",
            "`scheme`",
        ),
    ),
    Mistake(
        "bare types",
        CONLL,
        {"a.txt": "Ada PER\n"},
        ("/a.txt:1: the tag 'PER' of the word 'Ada'", "io where tags are bare"),
    ),
    Mistake(
        "another scheme than declared",
        CONLL | {"scheme": "bilou"},
        {"a.txt": "Ada S-PER\n"},
        ("the tag 'S-PER' of the word 'Ada' is neither O nor one of B-TYPE, I-TYPE, L-TYPE, U-TYPE of the declared",),
    ),
    Mistake(
        "a gold of other words",
        JSON,
        {"a.jsonl": [OK], "b.jsonl": [{"tokens": ["Eve"], "ner_tags": ["O"]}]},
        (
            "/b.jsonl: only 0 % of its characters are in the text of toy",
            "a gold annotates the text of toy's test split",
        ),
        {"file": "b.jsonl"},
    ),
    Mistake("no such protocol", {"files": {"test": "gopher://a/b"}}, {}, ("gopher://a/b: cannot be read (ValueError",)),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name.replace(" ", "-"))
def test_a_mistake_is_one_line_with_a_remedy(mistake: Mistake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in mistake.files.items():
        write(tmp_path / name, content)
    golds = [{"name": "other", "dataset": "toy"} | mistake.gold] if mistake.gold else []
    settings = {"datasets": [{"name": "toy"} | mistake.dataset], "golds": golds}
    (tmp_path / "nerbench.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(InputError) as caught:
        describe(config := load_config(None), config.datasets[0])
    sys.modules.pop("wrong_corpus", None)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    assert [part for part in mistake.fragments if part not in line] == [], line
    assert caught.value.exit_status == 2


def write(path: Path, content: Content) -> None:
    if isinstance(content, dict):
        pq.write_table(pa.table(content), path)
    elif isinstance(content, list):
        path.write_text("\n".join(map(json.dumps, content)))
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
