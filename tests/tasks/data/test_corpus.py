"""Schemes, renamed types, digests and additional golds; and the real CoNLLpp if `shared/` exists."""

import hashlib
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import Config, DatasetConfig, GoldConfig
from nerbench.tasks.data.corpus import Corpus, load_gold, load_splits, pick_split, read_sources
from nerbench.tasks.data.corpus_refs import read_corpus


def write(folder: Path, name: str, tags: str, words: str = "") -> str:
    """A CoNLL file of sentences separated by `/`; the words are a, b, c, … by default."""
    blocks = []
    for number, sentence in enumerate(tags.split("/")):
        its_words = words.split("/")[number].split() if words else "abcdefghij"
        blocks.append("\n".join(f"{w} {t}" for w, t in zip(its_words, sentence.split(), strict=False)))
    (folder / name).write_text("\n\n".join(blocks) + "\n")
    return str(folder / name)


def load(folder: Path, *splits: str, **options: Any) -> dict[str, Corpus]:
    files = {n: write(folder, n, tags) for n, tags in zip(("train", "validation", "test"), splits, strict=False)}
    return load_splits(DatasetConfig.model_validate({"name": "toy", "files": files, **options}))


def corpus(**changes: Any) -> Corpus:
    given: dict[str, Any] = {"words": [["A", "b"], ["C"]], "tags": [["B-X", "O"], ["O"]], "documents": None}
    return Corpus(name="toy", split="test", **{**given, **changes})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("I-X I-X O I-Y", "B-X I-X O B-Y"),
        ("I-X B-X I-X", "B-X B-X I-X"),
        ("I-X I-Y O", "B-X B-Y O"),
        ("O I-X/I-X O", "O B-X/B-X O"),
        ("B-X I-X O B-Y", "B-X I-X O B-Y"),
        ("O O", "O O"),
    ],
)
def test_schemes_are_recognised(tmp_path: Path, written: str, read: str) -> None:
    assert load(tmp_path, written)["train"].tags == [sentence.split() for sentence in read.split("/")]


def test_scheme_is_recognised_over_all_splits_together(tmp_path: Path) -> None:
    # The first split fits both schemes; the second one has a B- where IOB1 would have an I-, so it is IOB2.
    assert load(tmp_path, "O O", "I-X B-X")["train"].tags == [["O", "O"]]


@pytest.mark.parametrize("scheme", ["auto", "iob2", "iob1"])
def test_invalid_tags_are_repaired_or_refused(tmp_path: Path, scheme: str) -> None:
    mixed = "B-X O I-X I-Y"
    found = load(tmp_path, "B-X", mixed, scheme=scheme)
    assert found["validation"].tags == [["B-X", "O", "B-X", "B-Y"]]
    n = 0 if scheme == "iob1" else 2
    assert (found["train"].n_repaired, found["validation"].n_repaired) == (0, n)
    assert (found["train"].first_repaired or "").endswith("validation:3" if n else "")
    if n:
        with pytest.raises(CorpusError, match=r"validation:3: (the tag continues no|an entity begins with I-)"):
            load(tmp_path, "B-X", mixed, scheme=scheme, invalid="refuse")
    else:
        assert (
            load(tmp_path, "B-X", mixed, scheme=scheme, invalid="refuse")["validation"].tags == found["validation"].tags
        )


def test_types_are_renamed_and_ignored(tmp_path: Path) -> None:
    tags = "B-PERSON I-PERSON B-DATE I-DATE B-LOC"
    loaded = load(tmp_path, tags, label_map={"PERSON": "PER"}, ignore_labels=("DATE",))["train"]
    assert loaded.tags == [["B-PER", "I-PER", "O", "O", "B-LOC"]]
    assert loaded.types == ["LOC", "PER"]


@pytest.mark.parametrize("field", ["label_map", "ignore_labels"])
def test_unknown_types_are_an_error_that_lists_the_known(tmp_path: Path, field: str) -> None:
    value = {"PERSON": "PER"} if field == "label_map" else ("PERSON",)
    with pytest.raises(
        CorpusError, match=f"dataset toy: {field}: toy has no entity type PERSON; its types are LOC, PER"
    ):
        load(tmp_path, "B-PER O", "B-LOC", **{field: value})


def test_a_missing_split_lists_the_splits(tmp_path: Path) -> None:
    loaded = load(tmp_path, "O", "O")
    config = DatasetConfig(name="toy", files={"train": "x"})
    assert pick_split(loaded, "train", config) is loaded["train"]
    with pytest.raises(
        CorpusError, match="dataset toy: it has no test split; declare one, or choose among train, valid"
    ):
        pick_split(loaded, "test", config)


def test_digests_are_as_documented() -> None:
    three = corpus(words=[["Ö", '"'], ["C"], ["d"]], tags=[["B-X", "O"], ["O"], ["O"]], documents=[0, 0, 1])
    assert three.words_sha256 == hashlib.sha256('\n["Ö","\\""]\n["C"]\n\n["d"]\n'.encode()).hexdigest()
    assert three.gold_sha256 == hashlib.sha256(b'\n["B-X","O"]\n["O"]\n\n["O"]\n').hexdigest()
    assert corpus().words_sha256 == hashlib.sha256(b'["A","b"]\n["C"]\n').hexdigest()


def test_digests_depend_on_words_tags_and_boundaries_only() -> None:
    same = corpus()
    assert replace(same, name="other", split="train").words_sha256 == same.words_sha256
    assert corpus(tags=[["O", "O"], ["O"]]).words_sha256 == same.words_sha256
    assert corpus(tags=[["O", "O"], ["O"]]).gold_sha256 != same.gold_sha256
    for words, documents in (
        ([["A", "c"], ["C"]], None),
        ([["A"], ["b", "C"]], None),
        ([["A", "b"], ["C"]], [0, 0]),
        ([["A", "b"], ["C"]], [0, 1]),
    ):
        assert corpus(words=words, documents=documents).words_sha256 != same.words_sha256


def test_sizes() -> None:
    assert (corpus().n_words, corpus().lengths.tolist()) == (3, [2, 1])


def gold_of(folder: Path, tags: str, words: str = "", its: Any = None, **options: Any) -> Corpus:
    files = {"test": write(folder, "test", "B-X I-X/O")}
    dataset = DatasetConfig.model_validate({"name": "toy", "files": files, **options})
    text = replace(load_splits(dataset)["test"], documents=[0, 1])
    gold = {"name": "other", "dataset": "toy", "file": write(folder, "gold", tags, words), **(its or {})}
    return load_gold(GoldConfig.model_validate(gold), dataset, text)


def test_a_gold_has_its_own_scheme_and_the_documents_of_the_words(tmp_path: Path) -> None:
    gold = gold_of(tmp_path, "O I-Z/I-X", label_map={"X": "Y"})
    assert gold.tags == [["O", "B-Z"], ["B-Y"]]
    assert (gold.name, gold.split, gold.documents, gold.words) == ("other", "test", [0, 1], [["a", "b"], ["a"]])


@pytest.mark.parametrize(
    ("tags", "words", "message"),
    [
        ("O O/O", "a x/y", r"gold: only 0 % of its characters are in the text of toy; a gold annotates the text of"),
        (
            "B-X I-X/S-X",
            "",
            "gold:4: a tag has a letter of BIOES, .* at .*/gold:2 .*; write the whole annotation in one scheme",
        ),
    ],
)
def test_gold_of_other_words_or_mixed_schemes(tmp_path: Path, tags: str, words: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        gold_of(tmp_path, tags, words)


def test_a_gold_declares_its_scheme_and_follows_the_policy_of_its_data_set(tmp_path: Path) -> None:
    gold = gold_of(tmp_path, "B-X O/I-X")
    assert (gold.tags, gold.n_repaired) == ([["B-X", "O"], ["B-X"]], 1)
    assert (gold.first_repaired or "").endswith("/gold:4")
    with pytest.raises(
        CorpusError, match=r"gold:4: an entity begins with I- .* at .*/gold:1 .*; write the whole annot"
    ):
        gold_of(tmp_path, "B-X O/I-X", invalid="refuse")
    iob1 = gold_of(tmp_path, "B-X O/I-X", its={"scheme": "iob1"}, invalid="refuse")
    assert (iob1.tags, iob1.n_repaired) == ([["B-X", "O"], ["B-X"]], 0)
    with pytest.raises(CorpusError, match="gold:4: the tag continues no entity of its type, which iob2 does not allow"):
        gold_of(tmp_path, "B-X O/I-X", its={"scheme": "iob2"}, invalid="refuse")
    bare = gold_of(tmp_path, "X X/Y", its={"scheme": "io"})
    assert bare.tags == [["B-X", "I-X"], ["B-Y"]]


def test_repairs_of_a_data_set_do_not_change_its_golds(tmp_path: Path) -> None:
    text = load(tmp_path, "B-X O/I-X")["train"]
    assert text.n_repaired == 1
    dataset = DatasetConfig.model_validate({"name": "toy", "files": {"train": "unread"}})
    gold = load_gold(GoldConfig(name="other", dataset="toy", file=write(tmp_path, "gold", "O B-X/O")), dataset, text)
    assert (gold.n_repaired, gold.first_repaired) == (0, None)


@pytest.fixture(scope="module")
def conllpp(shared: Path) -> DatasetConfig:
    folder = shared / "data" / "conllpp"
    names = {"train": "train", "validation": "valid", "test": "test"}
    return DatasetConfig.model_validate(
        {"name": "conllpp", "files": {s: f"{folder}/{n}.txt" for s, n in names.items()}}
    )


def entities(loaded: Corpus) -> Counter[str]:
    return Counter(tag[2:] for tag in chain.from_iterable(loaded.tags) if tag[0] == "B")


def test_conllpp_and_the_original_gold(conllpp: DatasetConfig, shared: Path) -> None:
    loaded = load_splits(conllpp)
    sizes = {split: (len(c.words), c.n_words, len(set(c.documents or []))) for split, c in loaded.items()}
    assert sizes == {"train": (14041, 203621, 946), "validation": (3250, 51362, 216), "test": (3453, 46435, 231)}
    assert entities(loaded["test"]) == {"LOC": 1646, "MISC": 723, "ORG": 1715, "PER": 1618}

    config = GoldConfig(name="conll2003", dataset="conllpp", file=str(shared / "data/conll2003/test.txt"))
    original = load_gold(config, conllpp, loaded["test"])
    assert entities(original) == {"LOC": 1668, "PER": 1617, "ORG": 1661, "MISC": 702}
    assert sum(a != b for a, b in zip(original.tags, loaded["test"].tags, strict=True)) == 186
    assert original.words_sha256 == loaded["test"].words_sha256
    assert original.gold_sha256 != loaded["test"].gold_sha256


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the data sets that are read."""
    from nerbench.tasks.data import corpus

    done: list[str] = []

    def noted(config: DatasetConfig) -> Any:
        done.append(config.name)
        return read_divided(config)

    read_divided = corpus.read_divided
    monkeypatch.setattr(corpus, "read_divided", noted)
    return done


def test_unchanged_files_are_read_once(tmp_path: Path, reads: list[str]) -> None:
    config = DatasetConfig.model_validate({"name": "toy", "files": {"test": write(tmp_path, "t", "B-X O")}})
    first = load_splits(config)
    assert load_splits(config) == first
    assert read_sources(config).cached["test"].labels == ("B-X", "O")  # as `inspect` does
    assert reads == ["toy"]
    other = config.model_copy(update={"ignore_labels": ("X",)})
    assert load_splits(other)["test"].tags == [["O", "O"]]
    assert load_splits(config)["test"].tags == [["B-X", "O"]]
    assert reads == ["toy", "toy"]


def test_a_replaced_or_missing_file_is_noticed(tmp_path: Path, reads: list[str]) -> None:
    config = DatasetConfig.model_validate({"name": "toy", "files": {"test": write(tmp_path, "t", "B-X O")}})
    load_splits(config)
    write(tmp_path, "new", "B-Y O")
    (tmp_path / "new").replace(tmp_path / "t")
    assert load_splits(config)["test"].tags == [["B-Y", "O"]]
    (tmp_path / "t").unlink()
    with pytest.raises(CorpusError, match="name an existing"):
        load_splits(config)


def test_remote_files_are_read_each_time(reads: list[str]) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/corpus/read_each_time.txt", b"EU B-X\n")
    config = DatasetConfig(name="far", files={"test": "memory://corpus/read_each_time.txt"})
    assert [load_splits(config)["test"].words for _ in range(2)] == [[["EU"]]] * 2
    assert reads == ["far", "far"]


def test_one_stray_tag_in_the_real_corpus_is_repaired_with_one_warning(
    conllpp: DatasetConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = Path(conllpp.files["test"]).read_text().splitlines(keepends=True)
    at = next(n for n in range(40_000, 50_000) if " B-" in lines[n] and not lines[n - 1].strip())
    lines[at] = lines[at].replace(" B-", " I-")
    stray = tmp_path / "stray.txt"
    stray.write_text("".join(lines))
    config = Config.model_validate(
        {
            "datasets": [conllpp.model_copy(update={"files": {"test": str(stray)}}).model_dump(exclude_unset=True)],
            "golds": [{"name": "same", "dataset": "conllpp", "file": str(stray)}],
        }
    )
    refs = read_corpus(config, config.datasets[0]) + read_corpus(config, config.datasets[0])
    intact = load_splits(conllpp)["test"]
    assert {(ref.words_sha256, ref.gold_sha256) for ref in refs} == {(intact.words_sha256, intact.gold_sha256)}
    assert [ref.n_repaired for ref in refs] == [1, 1, 1, 1]
    assert [record.getMessage() for record in caplog.records] == [
        f"{name}: invalid tags, which continue no entity of their type: 1 of 46,435, the first of all splits at "
        f"{stray}:{at + 1}; read as B-, as conlleval does (`invalid: refuse` makes it an error)"
        for name in ("data set conllpp, test", "gold same, test")
    ]
