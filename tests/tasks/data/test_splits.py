"""`split`: one source divided by document or by sentence, in the same way on every machine."""

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerbench.artifacts.errors import ConfigError, CorpusError
from nerbench.tasks.config import Config, DatasetConfig, GoldConfig, SplitConfig
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.data.corpus import Corpus, load_gold, load_splits
from nerbench.tasks.data.corpus_refs import describe
from nerbench.tasks.data.splits import split_sizes
from nerbench.tasks.inspection.inspection import inspect_dataset
from nerbench.tasks.training.launch import plan_training

THIRDS = {"train": "80%", "validation": "10%", "test": "10%"}


def write(path: Path, documents: list[int], *, marked: bool = True) -> str:
    """A CoNLL file of documents with these numbers of sentences; each word names its document and sentence."""
    lines = []
    for document, sentences in enumerate(documents):
        lines += ["-DOCSTART- O", ""] if marked else []
        for sentence in range(sentences):
            lines += [f"d{document}s{sentence} B-PER", "runs O", ""]
    path.write_text("\n".join(lines))
    return str(path)


def divided(path: str, split: dict[str, Any], **options: Any) -> dict[str, Corpus]:
    files = options.pop("files", {"all": path})
    return load_splits(DatasetConfig.model_validate({"name": "own", "files": files, "split": split, **options}))


def first_words(corpus: Corpus) -> list[str]:
    return [words[0] for words in corpus.words]


def documents_of(corpus: Corpus) -> set[str]:
    return {word.partition("s")[0] for word in first_words(corpus)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    documents=st.lists(st.integers(1, 5), min_size=3, max_size=40),
    seed=st.integers(-3, 1 << 70),
    by=st.sampled_from(["document", "sentence"]),
    validation=st.integers(1, 40),
)
def test_every_sentence_is_in_one_split_and_no_document_in_two(
    tmp_path: Path, documents: list[int], seed: int, by: str, validation: int
) -> None:
    amounts = {"train": f"{90 - validation}%", "validation": f"{validation}%", "test": "10%"}
    rule = SplitConfig.model_validate({**amounts, "by": by, "seed": seed})
    units = len(documents) if by == "document" else sum(documents)
    try:
        sizes = split_sizes(rule, units)
    except ValueError:
        return
    found = divided(write(tmp_path / "all.conll", documents), rule.model_dump())
    words = [word for corpus in found.values() for word in first_words(corpus)]
    assert Counter(words) == Counter(f"d{d}s{s}" for d, n in enumerate(documents) for s in range(n))
    for corpus in found.values():
        order = [tuple(map(int, word[1:].split("s"))) for word in first_words(corpus)]
        assert order == sorted(order), "sentences keep the order of the file"
        numbers = list(corpus.documents or ())
        assert sorted(set(numbers)) == list(range(len(documents_of(corpus))))
    if by == "document":
        assert sum(len(documents_of(corpus)) for corpus in found.values()) == len(documents)
        assert {split: len(documents_of(corpus)) for split, corpus in found.items()} == sizes
    else:
        assert {split: len(corpus.words) for split, corpus in found.items()} == sizes


def test_the_choice_is_the_published_rule(tmp_path: Path) -> None:
    """Each split is a contiguous part of the documents in the order of sha256(`seed number`)."""
    documents = [1 + number % 3 for number in range(30)]
    found = divided(write(tmp_path / "all.conll", documents), {**THIRDS, "seed": 7})
    order = sorted(range(30), key=lambda number: sha256(f"7 {number}".encode()).digest())
    runs = {"train": order[:24], "validation": order[24:27], "test": order[27:]}
    assert {split: documents_of(corpus) for split, corpus in found.items()} == {
        split: {f"d{number}" for number in run} for split, run in runs.items()
    }


def test_the_choice_is_the_same_next_year(tmp_path: Path) -> None:
    path = write(tmp_path / "all.conll", [2] * 10)
    assert documents_of(divided(path, THIRDS)["test"]) == {"d3"}
    assert documents_of(divided(path, {**THIRDS, "seed": 1})["test"]) == {"d2"}
    digests = {split: corpus.words_sha256[:8] for split, corpus in divided(path, THIRDS).items()}
    assert digests == {"train": "3284e134", "validation": "c738baa0", "test": "638a7dec"}


def test_tags_and_repairs_are_those_of_the_whole_source(tmp_path: Path) -> None:
    """The scheme is recognised from all splits together, and an error names the line of the file."""
    path = Path(write(tmp_path / "all.conll", [1] * 10))
    path.write_text(path.read_text().replace("d4s0 B-PER", "d4s0 I-PER"))
    found = divided(str(path), THIRDS)
    assert {corpus.first_repaired for corpus in found.values()} == {f"{path}:23"}
    assert sum(corpus.n_repaired for corpus in found.values()) == 1
    assert all(tags == ["B-PER", "O"] for corpus in found.values() for tags in corpus.tags)


def test_train_is_divided_if_there_is_no_all(tmp_path: Path) -> None:
    train, test = write(tmp_path / "train.conll", [1] * 20), write(tmp_path / "test.conll", [4])
    rule = {"train": "rest", "validation": 5}
    found = divided(train, rule, files={"train": train, "test": test})
    assert {split: len(corpus.words) for split, corpus in found.items()} == {"train": 15, "validation": 5, "test": 4}
    assert found["test"].rows is None


@pytest.mark.parametrize(
    ("amounts", "units", "sizes"),
    [
        ({"train": "80%", "validation": "10%", "test": "10%"}, 231, [185, 23, 23]),
        ({"train": "50%", "test": "50%"}, 3, [1, 2]),
        ({"train": "33.3%", "validation": "33.3%", "test": "33.4%"}, 3, [1, 1, 1]),
        ({"train": 5, "validation": 2, "test": 3}, 10, [5, 2, 3]),
        ({"train": "rest", "validation": "10%", "test": 3}, 10, [6, 1, 3]),
    ],
)
def test_sizes(amounts: dict[str, Any], units: int, sizes: list[int]) -> None:
    assert list(split_sizes(SplitConfig.model_validate(amounts), units).values()) == sizes


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("{train: 80%, test: 10%}", "the percentages add up to 90%; change one"),
        ("{train: 80%, test: 30%}", "the percentages add up to 110%; change one"),
        ("{train: rest, validation: 50%, test: 50%}", "add up to 100%, which leaves no rest"),
        ("{train: rest, test: rest}", "two amounts are `rest`"),
        ("{train: 80%, test: 20}", "write `rest` for one of them"),
        ("{train: 100%}", "a single split divides nothing"),
        ("{train: 0.8, test: 0.2}", "0.8 is not an amount; give a percentage such as 80%"),
        ("{train: true, test: 5}", "True is not an amount"),
        ("{train: 100%, test: 0%}", "0% is not an amount"),
        ("{train: -5, test: 5}", "-5 is not an amount"),
        ("{train: 80%, dev: 20%}", "dev"),
        ("{train: 80%, test: 20%, by: word}", "word"),
        ("{train: 80%, validation: 20%}", "makes a validation split, which has a file too"),
    ],
)
def test_an_impossible_split_is_one_line(tmp_path: Path, rule: str, text: str) -> None:
    path = write(tmp_path / "all.conll", [1] * 10)
    file = tmp_path / "nerbench.yaml"
    file.write_text(f"datasets: [{{name: own, files: {{all: {path}, validation: {path}}}, split: {rule}}}]")
    with pytest.raises(ConfigError) as error:
        load_config(file)
    assert text in str(error.value)
    assert "datasets[0].split" in str(error.value) or "datasets[0]" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("files", "rule", "text"),
    [
        ({"all": "FILE"}, None, "the file `all` belongs to no split"),
        ({"test": "FILE"}, {"train": "90%", "validation": "10%"}, "`split` has no file to divide"),
    ],
)
def test_files_and_rule_belong_together(tmp_path: Path, files: Any, rule: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        DatasetConfig.model_validate({"name": "own", "files": files, "split": rule})


@pytest.mark.parametrize(
    ("documents", "marked", "rule", "text"),
    [
        ([1] * 9, False, THIRDS, "has no document boundaries to divide it by; divide it by sentence"),
        ([3, 3], True, THIRDS, "validation: 10% of 2 documents leaves it empty; change the amounts"),
        ([3, 3], True, {"train": 2, "test": 1}, "the numbers add up to 3, but the source has 2 documents"),
        ([3, 3], True, {"train": "rest", "test": 2}, "train: rest of 2 documents leaves it empty"),
        ([], True, THIRDS, "holds no sentence"),
    ],
)
def test_a_source_that_cannot_be_divided(
    tmp_path: Path, documents: list[int], marked: bool, rule: dict[str, Any], text: str
) -> None:
    with pytest.raises(CorpusError) as error:
        divided(write(tmp_path / "all.conll", documents, marked=marked), rule)
    assert text in str(error.value)


def test_other_formats_are_divided_too(tmp_path: Path) -> None:
    rows = [{"tokens": [f"w{n}"], "ner_tags": ["O"], "document": f"d{n // 2}"} for n in range(20)]
    path = tmp_path / "all.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = divided(str(path), THIRDS, format="json", columns={"document": "document"})
    assert {split: len(corpus.words) for split, corpus in found.items()} == {"train": 16, "validation": 2, "test": 2}
    loader = DatasetConfig.model_validate(
        {"name": "own", "loader": f"{__name__}:load", "split": {"train": "rest", "validation": 2, "by": "sentence"}}
    )
    assert {split: len(corpus.words) for split, corpus in load_splits(loader).items()} == {"train": 4, "validation": 2}
    with pytest.raises(CorpusError, match="split: the data set has a test split already; remove test from `split`"):
        load_splits(loader.model_copy(update={"options": {"test": True}, "split": SplitConfig(train=1, test="rest")}))


def load(split: str, *, test: bool = False) -> Any:
    return [([f"w{n}"], ["O"]) for n in range(6)] if split == "train" or (split == "test" and test) else None


def test_a_further_gold_annotates_the_whole_file(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "all.conll", [2] * 10))
    other = tmp_path / "other.conll"
    other.write_text(path.read_text().replace("B-PER", "B-ORG").replace("-DOCSTART- O\n\n", ""))
    dataset = DatasetConfig.model_validate({"name": "own", "files": {"all": str(path)}, "split": THIRDS})
    words = load_splits(dataset)["test"]
    gold = load_gold(GoldConfig(name="other", dataset="own", file=str(other)), dataset, words)
    assert (gold.words, gold.documents, gold.words_sha256) == (words.words, words.documents, words.words_sha256)
    assert list(gold.tags) == [["B-ORG", "O"]] * 2
    other.write_text("\n".join(other.read_text().splitlines()[:6]))
    with pytest.raises(CorpusError, match="it has 0 sentences, own has 2"):
        load_gold(GoldConfig(name="other", dataset="own", file=str(other)), dataset, words)


def test_the_division_is_recorded_with_the_corpus(tmp_path: Path) -> None:
    path = write(tmp_path / "all.conll", [2] * 10)
    config = Config.model_validate(
        {
            "dataset": {"name": "own", "files": {"all": path}, "split": THIRDS},
            "models": [{"name": "m", "base": {"model_type": "bert"}}],
        }
    )
    plan = plan_training(config.models[0], config.datasets[0])
    for corpus in plan.corpora:
        assert corpus.divided == "train 80%, validation 10%, test 10%, by document, seed 0"
        assert [file.name for file in corpus.files] == ["all.conll"]
        assert corpus.files[0].sha256 == sha256(Path(path).read_bytes()).hexdigest()
    ref = describe(config, config.datasets[0])[0]
    assert ref.words_sha256 == load_splits(config.datasets[0])["test"].words_sha256
    assert config.as_written()["datasets"][0]["split"] == {**THIRDS, "by": "document", "seed": 0}
    assert yaml.safe_load(yaml.safe_dump(config.as_written()))


def test_an_inspection_reports_sizes_rule_and_leaks(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "all.conll", [1] * 10))
    path.write_text(path.read_text() + "\n-DOCSTART- O\n\n" + "\n\n-DOCSTART- O\n\n".join(["Oslo B-LOC\nwon O"] * 20))
    dataset = DatasetConfig.model_validate({"name": "own", "files": {"all": str(path)}, "split": THIRDS})
    facts = inspect_dataset(dataset)
    assert facts.division == "train 80%, validation 10%, test 10%, by document, seed 0"
    assert {one.split: one.documents for one in facts.splits} == {"train": 24, "validation": 3, "test": 3}
    assert any("also in train, with the same words" in note for note in facts.notes)
    assert all(one.sentences for one in facts.overlaps)
