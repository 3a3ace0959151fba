"""The findings of `inspect` about data with planted faults, against known counts."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from small_corpus import write_corpus
from tiny_models import save_bert

from nerbench.artifacts.errors import CorpusError
from nerbench.artifacts.memoized_reads import read_once
from nerbench.artifacts.references import resolve_one
from nerbench.tasks.config import Config
from nerbench.tasks.inspection.facts import DatasetFacts, Lengths
from nerbench.tasks.inspection.inspection import inspect
from nerbench.tasks.inspection.tokenizer_fit import Tokenization, tokenization_of


def inspected(
    folder: Path, tokenization: Tokenization | None = None, dataset: dict[str, Any] | None = None, **texts: str
) -> Any:
    files = {}
    for split, text in texts.items():
        path = folder / f"{split}.conll"
        path.write_bytes(text.encode())
        files[split] = str(path)
    config = Config.model_validate({"dataset": {"name": "own", "files": files} | (dataset or {})})
    (found,) = inspect(config, tokenization).datasets
    return found


def split(facts: DatasetFacts, name: str) -> Any:
    return next(one for one in facts.splits if one.split == name)


TRAIN = "Anna B-PER\nBerg I-PER\nleft O\n\nOslo B-LOC\n\nOslo B-LOC\n\nOslo O\n"
TEST = "Oslo B-LOC\n\nParis B-LOC\nwon O\n\nAnna B-PER\nBerg I-PER\n"


def test_a_run_inspects_unchanged_files_once(tmp_path: Path) -> None:
    with read_once():
        first = inspected(tmp_path, train=TRAIN)
        config = Config.model_validate({"dataset": {"name": "own", "files": {"train": f"{tmp_path}/train.conll"}}})
        assert inspect(config).datasets[0] is first
        assert inspected(tmp_path, train=TEST) != first


def test_counts_overlaps_duplicates_and_contradictions(tmp_path: Path) -> None:
    facts = inspected(tmp_path, train=TRAIN, test=TEST)
    train, test = split(facts, "train"), split(facts, "test")
    assert (train.sentences, train.words, train.distinct_words, train.entities, train.documents) == (4, 6, 4, 3, None)
    assert (train.duplicates, train.contradictions, train.without_entity) == (2, 1, 1)
    assert (test.duplicates, test.contradictions, test.without_entity) == (0, 0, 0)
    assert [(one.label, one.entities, one.words, one.distinct, one.seen) for one in train.labels] == [
        ("LOC", 2, 2, 1, None),
        ("PER", 1, 2, 1, None),
    ]
    assert [(one.label, one.entities, one.seen) for one in test.labels] == [("LOC", 2, 1), ("PER", 1, 1)]
    (overlap,) = facts.overlaps
    assert (overlap.split, overlap.earlier, overlap.sentences, overlap.entities) == ("test", "train", 1, 2)
    assert overlap.sentence_share == pytest.approx(1 / 3, abs=1e-6)
    assert (facts.scheme, facts.contradiction, facts.types) == ("iob2", None, ("LOC", "PER"))
    notes = "\n".join(facts.notes)
    for part in (
        "there is no validation split",
        "test: 1 sentence (33.3%) also in train, with the same words",
        "train: 1 sentence repeated with other tags",
        "train: 2 sentences (50.0%) repeated within the split",
        "test: only 2 LOC",
        "there are no document boundaries",
    ):
        assert part in notes


def test_a_repeated_sentence_overlaps_twice(tmp_path: Path) -> None:
    (overlap,) = inspected(tmp_path, train=TRAIN, test=f"{TEST}\nOslo B-LOC\n").overlaps
    assert (overlap.sentences, overlap.sentence_share, overlap.entities) == (2, 0.5, 3)


def test_the_counts_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    facts = inspected(tmp_path, train=Path(write_corpus(tmp_path / "a", 3)).read_text())
    train = split(facts, "train")
    lines = (tmp_path / "a").read_text().splitlines()
    begins = Counter(line.split()[1][2:] for line in lines if line and line.split()[1].startswith("B-"))
    assert {one.label: one.entities for one in train.labels} == begins
    assert sum(one.share for one in train.labels) == pytest.approx(1, abs=1e-5)
    assert (train.documents, train.duplicates) == (3, 12)
    assert train.lengths == Lengths(least=5, median=6, p90=6, p99=6, greatest=6, mean=5.5)


def test_contradicting_tags_are_a_finding_with_their_places(tmp_path: Path) -> None:
    splits = {"train": "a B-X\nb I-X\n\nc B-X\n\nd O\ne I-X\n", "test": "a B-X\n"}
    facts = inspected(tmp_path, dataset={"invalid": "refuse"}, **splits)
    repaired = inspected(tmp_path, **splits)
    assert facts.scheme == repaired.scheme == "iob2"
    assert facts.contradiction is not None
    assert (repaired.contradiction, repaired.splits) == (None, facts.splits)
    (invalid,) = split(facts, "train").invalid
    assert (invalid.before, invalid.tag, invalid.count) == ("O", "I-X", 1)
    assert invalid.place == f"{tmp_path}/train.conll:7"
    assert facts.notes[0].startswith("the tags contradict each other")
    assert split(facts, "train").entities == 3, "an entity all the same, as by conlleval's rules"


@pytest.mark.parametrize(
    ("text", "declared", "scheme", "n_invalid"),
    [
        ("a I-X\n\nb I-X\n", "auto", "iob1", 0),
        ("a I-X\n\nb B-X\n", "iob2", "iob2", 1),
        ("a S-X\n\nb B-X\nc E-X\n", "auto", "bioes", 0),
        ("a S-X\n\nb B-X\nc O\n", "bioes", "bioes", 1),
        ("a X\nb O\n", "io", "io", 0),
    ],
)
def test_schemes(tmp_path: Path, text: str, declared: str, scheme: str, n_invalid: int) -> None:
    facts = inspected(tmp_path, dataset={"scheme": declared}, test=text)
    assert (facts.scheme, split(facts, "test").n_invalid) == (scheme, n_invalid)


def test_sentences_without_boundaries_are_noticed(tmp_path: Path) -> None:
    facts = inspected(tmp_path, train=TRAIN, test="Oslo B-LOC\nwon O\n" * 60)
    (note,) = [note for note in facts.notes if "blank line" in note]
    assert note.startswith("test: the median sentence has 120 words; check that the file separates sentences")


def test_suspicious_characters_are_named_and_made_visible(tmp_path: Path) -> None:
    words = ["plain", "Müller", "a\u200bb", "a\u200bb", "10\u00a0000", "cafe\u0301", "MÃ¼ller", "\ufffd", "a\u0007"]
    text = "\ufeff" + "".join(f"{word} O\r\n" for word in words) + "Oslo B-LOC\r\n"
    found = split(inspected(tmp_path, test=text), "test").suspicious_characters
    assert {one.what: (one.words, one.example) for one in found} == {
        "byte order mark": (1, f"{tmp_path}/test.conll"),
        "Windows line ends": (1, f"{tmp_path}/test.conll"),
        "zero width space U+200B": (2, "a\\u200bb"),
        "no-break space U+00A0": (1, "10\\u00a0000"),
        "letters and accents apart (not NFC)": (1, "cafe\u0301"),
        "UTF-8 read in another encoding": (1, "MÃ¼ller"),
        "replacement character U+FFFD": (1, "\ufffd"),
        "control character U+0007": (1, "a\\u0007"),
    }


def test_a_tokenizer_counts_tokens_and_windows(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "model", positions=16)
    tokenization = tokenization_of(resolve_one(str(folder), str(tmp_path / "store")))
    sentences = [["Ada", "lives"], ["internationalization"] * 9, ["☃", "Ada"]]
    text = "\n".join("".join(f"{word} O\n" for word in words) for words in sentences)
    tokens = split(inspected(tmp_path, tokenization, test=text), "test").tokens
    alone = [len(tokenization.tokenizer.backend.encode(w, add_special_tokens=False).ids) for s in sentences for w in s]
    lengths = [sum(alone[:2]), sum(alone[2:11]), sum(alone[11:])]
    assert (tokens.max_length, tokens.lengths.greatest) == (16, max(lengths))
    assert tokens.longer_sentences == sum(length > 14 for length in lengths) == 1
    assert tokens.longer_words == sum(length > 14 for length in alone)
    assert (tokens.unknown_words, tokens.vanished_words) == (1, 0)
    assert tokens.tokens_per_word == pytest.approx(sum(alone) / 13, abs=1e-3)


def test_an_inspection_is_plain_data(tmp_path: Path) -> None:
    config = {"dataset": {"name": "own", "files": {"test": write_corpus(tmp_path / "a", 1)}}}
    found = inspect(Config.model_validate(config))
    assert json.loads(json.dumps(found.as_dict()))["datasets"][0]["splits"][0]["sentences"] == 6


def test_unreadable_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"train\.conll:1"):
        inspected(tmp_path, train="Anna\n")


def test_known_facts_about_conllpp(shared: Path) -> None:
    names = {"train": "train.txt", "validation": "valid.txt", "test": "test.txt"}
    files = {name: str(shared / "data" / "conllpp" / file) for name, file in names.items()}
    (facts,) = inspect(Config.model_validate({"dataset": {"name": "conllpp", "files": files}})).datasets
    test = split(facts, "test")
    assert (test.documents, test.sentences, test.words, test.entities) == (231, 3453, 46435, 5702)
    assert {one.label: one.entities for one in test.labels} == {"LOC": 1646, "MISC": 723, "ORG": 1715, "PER": 1618}
    assert (test.duplicates, test.lengths.greatest) == (269, 124)
    assert [one.sentences for one in facts.overlaps if (one.split, one.earlier) == ("test", "train")] == [126]
    assert {one.label: round(100 - 100 * one.seen / one.entities) for one in test.labels} == {
        "LOC": 20,
        "MISC": 33,
        "ORG": 48,
        "PER": 85,
    }
