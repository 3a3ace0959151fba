"""Custom loaders: their results, their calls, and the errors of failures."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig, GoldConfig
from nerbench.tasks.data.arrow_cache import CHUNK
from nerbench.tasks.data.corpus import load_gold, load_splits
from nerbench.tasks.data.custom_loader import read_loader

PAIR = (["Ada", "L."], ["B-PER", "I-PER"])


def as_pairs(split: str) -> list[Any] | None:
    return [PAIR, (("in",), ["O"])] if split == "test" else None


def as_mappings(split: str) -> Iterator[Any]:
    if split == "test":
        yield {"words": PAIR[0], "tags": [1, 2], "document": "a", "more": 1}
        yield {"words": [], "tags": []}
        yield {"words": ["in"], "tags": [0], "document": "b"}


def as_objects(split: str, *, tag: str) -> list[Any]:
    rows = [SimpleNamespace(words=PAIR[0], tags=PAIR[1]), SimpleNamespace(words=["in"], tags=[tag], document=None)]
    return rows if split == "test" else []


def config(function: str, **options: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "toy", "loader": f"{__name__}:{function}"} | options)


@pytest.mark.parametrize(
    ("function", "options", "documents"),
    [
        ("as_pairs", {}, None),
        ("as_mappings", {"labels": ["O", "B-PER", "I-PER"]}, [0, 1]),
        ("as_objects", {"options": {"tag": "O"}}, None),
    ],
)
def test_results_of_loaders(function: str, options: dict[str, Any], documents: list[int] | None) -> None:
    splits = load_splits(config(function, **options))
    assert list(splits) == ["test"]
    assert (splits["test"].words, splits["test"].tags) == ([["Ada", "L."], ["in"]], [["B-PER", "I-PER"], ["O"]])
    found = splits["test"].documents
    assert (found if found is None else list(found)) == documents


def test_a_gold_has_its_own_loader() -> None:
    dataset = config("as_pairs")
    gold = GoldConfig(name="other", dataset="toy", file=f"{__name__}:as_gold")
    assert load_gold(gold, dataset, load_splits(dataset)["test"]).tags == [["O", "B-PER"], ["O"]]


def as_gold(split: str) -> list[Any]:
    return [(PAIR[0], ["O", "S-PER"]), (["in"], ["O"])]


TAKEN: list[str] = []


def counted(split: str) -> Iterator[Any]:
    for _ in range(10 * CHUNK):
        TAKEN.append(split)
        yield PAIR


def test_sentences_are_read_lazily() -> None:
    TAKEN.clear()
    sentences = iter(read_loader(config("counted"))["train"].sentences)
    assert TAKEN == ["train", "validation", "test"], "more than the first sentence was asked for"
    next(sentences)
    next(sentences)
    assert TAKEN.count("train") == 2


def test_modules_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nerbench_test_corpus.py").write_text(
        "def load(split):\n    from nerbench_test_helper import ROWS\n    return ROWS if split == 'test' else None\n"
    )
    (tmp_path / "nerbench_test_helper.py").write_text(f"ROWS = [{PAIR}]\n")
    monkeypatch.chdir(tmp_path)
    loaded = load_splits(DatasetConfig(name="toy", format="loader", loader="nerbench_test_corpus:load"))
    assert loaded["test"].words == [PAIR[0]]


def late(split: str) -> Iterator[Any]:
    yield PAIR
    yield PAIR
    raise KeyError("ner")


def leaving(split: str) -> Iterator[Any]:
    yield PAIR
    sys.exit(3)


def leaving_at_once(split: str) -> list[Any]:
    sys.exit("no licence")


def at_once(split: str) -> list[Any]:
    return [PAIR][1:][0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("late", r"late \(train\) sentence 2: failed with KeyError: 'ner'; correct it at .*test_custom_loader.py:\d+$"),
        (
            "leaving",
            r"leaving \(train\) sentence 1: failed with SystemExit: 3; correct it at .*test_custom_loader.py:\d+$",
        ),
        (
            "leaving_at_once",
            r"\(train\): failed with SystemExit: no licence; correct it at .*test_custom_loader.py:\d+$",
        ),
        ("at_once", r"at_once \(train\): failed with IndexError: list index out of range; correct it at .*py:\d+$"),
        ("missing", r"loader .*:missing: .* has no 'missing'; choose among "),
        ("PAIR", "is not a function but tuple; name a function"),
        ("CHUNK.real.imag", "is not a function but int"),
        ("as_objects", "failed with TypeError: as_objects.* missing 1 required keyword-only argument: 'tag'"),
    ],
)
def test_failures_are_one_line(function: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as caught:
        load_splits(config(function))
    assert "\n" not in str(caught.value)


def test_a_loader_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nerbench_test_broken.py").write_text("import nerbench_no_such_module\n")
    (tmp_path / "nerbench_test_exit.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "nerbench_test_typo.py").write_text("def load(:\n")
    monkeypatch.chdir(tmp_path)
    for module, reason in (
        ("nerbench_test_nowhere", "ModuleNotFoundError: No module named 'nerbench_test_nowhere'"),
        ("nerbench_test_broken", "ModuleNotFoundError: No module named 'nerbench_no_such_module'"),
        ("nerbench_test_exit", "SystemExit: 3"),
        ("nerbench_test_typo", "SyntaxError: invalid syntax"),
    ):
        with pytest.raises(CorpusError, match=f"loader {module}:load: it cannot be imported .{reason}"):
            load_splits(DatasetConfig(name="toy", format="loader", loader=f"{module}:load"))
