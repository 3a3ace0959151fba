"""Mentions of training corpora: equality, the corpus of a model, and the number of reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tagging import random_sentences, textbook

from nerbench.artifacts.manifest import CorpusDigest
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.arrow_cache import CHUNK
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.scoring import training_mentions as module
from nerbench.tasks.scoring.entities import Entities, encode, extract
from nerbench.tasks.scoring.training_mentions import (
    Unavailable,
    find_training,
    join_words,
    mention_keys,
    training_mentions,
)


@pytest.fixture(autouse=True)
def nothing_known() -> None:
    module._find.cache_clear()


def corpus(words: Sequence[list[str]], tags: Sequence[list[str]]) -> Corpus:
    return Corpus(name="toy", split="train", words=words, tags=tags, documents=None)


def keys(*mentions: tuple[str, list[str]]) -> list[bytes]:
    """Keys of single mentions, given by type and words."""
    types = sorted({kind for kind, _ in mentions})
    ends = np.cumsum([len(words) for _, words in mentions])
    starts = ends - [len(words) for _, words in mentions]
    kinds = np.array([types.index(kind) for kind, _ in mentions])
    text = pa.chunked_array([[word for _, words in mentions for word in words]])
    return mention_keys(text, Entities(starts, ends, kinds, 0), types)


def test_mentions_are_the_same_only_if_words_and_type_are() -> None:
    different = [
        ("PER", ["Ada"]),
        ("LOC", ["Ada"]),
        ("PER", ["ada"]),
        ("PER", ["Ada", "L"]),
        ("PER", ["Ada L"]),
        ("PER", ["Ada", "", "L"]),
        ("PER", ["Ada\x1fL"]),
        ("PER", ["Ada\nL"]),
        ("PER", [""]),
        ("PER", ["", ""]),
        ("PERÿ", ["Ada"]),
        ("PER", ["ÿAda"]),
        ("PER", ["A\u0308"]),
        ("PER", ["Ä"]),
    ]
    assert len(set(keys(*different))) == len(different)
    assert set(keys(*different, *different)) == set(keys(*different))


@pytest.mark.parametrize("seed", range(5))
def test_mentions_of_a_corpus_are_those_of_the_textbook(seed: int) -> None:
    tags, _ = random_sentences(seed, 40)
    words = [[f"w{(n * 7 + at) % 5}" for at in range(len(sentence))] for n, sentence in enumerate(tags)]
    found = training_mentions(corpus(words, tags))
    expected = [(one.type, words[one.sentence][one.start : one.end]) for one in textbook(tags, "conlleval")]
    assert found == frozenset(keys(*expected))
    assert len(found) == len({(kind, tuple(mention)) for kind, mention in expected})


def test_mentions_of_all_parts() -> None:
    n = CHUNK + 3
    found = training_mentions(corpus([[f"w{at}"] for at in range(n)], [["B-X"]] * n))
    assert len(found) == n


def test_spans_are_joined_wherever_they_are() -> None:
    text = pa.chunked_array([["a", "b"], ["c"], ["d", "e"]]).dictionary_encode()
    joined = join_words(text, np.array([1, 0, 4]), np.array([4, 2, 5]))
    assert joined == [b"b\xffc\xffd", b"a\xffb", b"e"]
    assert join_words(text, np.array([], np.int64), np.array([], np.int64)) == []


def write(path: Path, *names: str) -> str:
    path.write_text("".join(f"{name} B-PER\nleft O\n\n" for name in names))
    return str(path)


def dataset(folder: Path, name: str, *names: str) -> DatasetConfig:
    files = {"train": write(folder / f"{name}-train", *names), "test": write(folder / f"{name}-test", "Eve")}
    return DatasetConfig.model_validate({"name": name, "files": files})


def digest(config: DatasetConfig, split: str = "train") -> CorpusDigest:
    found = load_splits(config)[split]
    return CorpusDigest(
        dataset=config.name, split=split, words_sha256=found.words_sha256, gold_sha256=found.gold_sha256
    )


def test_the_corpus_is_found_by_its_words_and_tags_whatever_its_name(tmp_path: Path) -> None:
    first, second = dataset(tmp_path, "first", "Ada"), dataset(tmp_path, "second", "Bea", "Cem")
    wanted = [digest(second), digest(second, "test")]
    expected = frozenset(keys(("PER", ["Bea"]), ("PER", ["Cem"])))
    assert find_training(wanted, [first, second]) == expected
    renamed = [wanted[0].model_copy(update={"dataset": "first"})]
    assert find_training(renamed, [first, second]) == expected


def test_all_corpora_of_a_model_count(tmp_path: Path) -> None:
    first, second = dataset(tmp_path, "first", "Ada"), dataset(tmp_path, "second", "Bea")
    both = [digest(first), digest(second)]
    assert find_training(both, [first, second]) == frozenset(keys(("PER", ["Ada"]), ("PER", ["Bea"])))
    assert find_training(both, [first]) == Unavailable("its training corpus (second train) is not among the data sets")


def test_reasons_for_unknown_mentions(tmp_path: Path) -> None:
    config = dataset(tmp_path, "first", "Ada")
    wanted = digest(config)
    assert find_training([], [config]) == Unavailable("its manifest names no training corpus")
    validation = wanted.model_copy(update={"split": "validation"})
    assert find_training([validation], [config]) == Unavailable("its manifest names no training corpus")
    missing = Unavailable("its training corpus (first train) is not among the data sets")
    assert find_training([wanted], []) == missing
    for field in ("words_sha256", "gold_sha256"):
        assert find_training([wanted.model_copy(update={field: "0" * 64})], [config]) == missing
    no_train = DatasetConfig.model_validate({"name": "first", "files": {"test": config.files["train"]}})
    assert find_training([wanted], [no_train]) == missing


def test_an_unreadable_data_set_is_reported_and_stops_no_other(tmp_path: Path) -> None:
    config = dataset(tmp_path, "first", "Ada")
    wanted = digest(config)
    broken = DatasetConfig.model_validate({"name": "broken", "files": {"train": str(tmp_path / "absent")}})
    assert find_training([wanted], [broken, config]) == frozenset(keys(("PER", ["Ada"])))
    found = find_training([wanted], [broken])
    assert isinstance(found, Unavailable)
    assert "(first train) is not among the data sets" in found.reason
    assert "absent" in found.reason


def test_a_corpus_is_read_once_and_a_change_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataset(tmp_path, "first", "Ada")
    wanted, reads = digest(config), []
    monkeypatch.setattr(module, "load_splits", lambda config: reads.append(config.name) or load_splits(config))
    expected = find_training([wanted], [config])
    write(tmp_path / "first-train", "Bea")
    assert find_training([wanted], [config]) == expected, "what the model saw stays the same"
    assert reads == ["first"]
    assert find_training([digest(config)], [config]) == frozenset(keys(("PER", ["Bea"])))
    assert reads == ["first", "first"]


def test_unseen_mentions_of_conllpp(shared: Path) -> None:
    """48 % of the test mentions are unseen by a plain count; a mention is its words (with case) and its type."""
    files = {split: str(shared / f"data/conllpp/{split}.txt") for split in ("train", "test")}
    splits = load_splits(DatasetConfig.model_validate({"name": "conllpp", "files": files}))
    seen, test = training_mentions(splits["train"]), splits["test"]
    unseen, n = dict.fromkeys(test.types, 0), dict.fromkeys(test.types, 0)
    for part in test.parts():
        entities = extract(
            encode([tag for tags in part.tags for tag in tags], test.types), part.sentence_starts, "strict"
        )
        text = pa.chunked_array([[word for words in part.words for word in words]])
        for key, kind in zip(mention_keys(text, entities, test.types), entities.type, strict=True):
            n[test.types[kind]] += 1
            unseen[test.types[kind]] += key not in seen
    assert n == {"LOC": 1646, "MISC": 723, "ORG": 1715, "PER": 1618}
    assert {kind: round(unseen[kind] / n[kind], 3) for kind in n} == {
        "LOC": 0.195, "MISC": 0.333, "ORG": 0.476, "PER": 0.855
    }  # fmt: skip
    assert round(sum(unseen.values()) / sum(n.values()), 2) == 0.48
