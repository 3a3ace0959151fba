"""Data sets in the Hub's layout, written here as Parquet: no network."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig, GoldConfig
from nerbench.tasks.data.corpus import load_gold, load_splits

datasets = pytest.importorskip("datasets")
NAMES = ["O", "B-PER", "I-PER"]
ROWS = {"tokens": [["Ada", "L."], [], ["in"]], "ner_tags": [[1, 2], [], [0]]}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def write(folder: Path, split: str, rows: dict[str, Any], *, class_label: bool = True) -> None:
    folder.mkdir(exist_ok=True)
    if class_label:
        label = datasets.List(datasets.ClassLabel(names=NAMES))
        features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": label})
        datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / f"{split}.parquet")
    else:
        pq.write_table(pa.table(rows), folder / f"{split}.parquet")


def config(folder: Path, **options: Any) -> DatasetConfig:
    return DatasetConfig.model_validate({"name": "toy", "format": "hub", "path": str(folder), **options})


def test_class_labels_become_names_and_empty_rows_are_left_out(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        write(tmp_path / "toy", split, ROWS)
    loaded = load_splits(config(tmp_path / "toy"))
    assert list(loaded) == ["train", "validation", "test"]
    assert loaded["test"].words == [["Ada", "L."], ["in"]]
    assert loaded["test"].tags == [["B-PER", "I-PER"], ["O"]]
    assert loaded["test"].documents is None


def test_string_tags_other_columns_documents_and_a_further_gold(tmp_path: Path) -> None:
    rows = {"words": [["-DOCSTART-"], ["Ada"], ["-DOCSTART-"], ["in"]], "ner": [["O"], ["I-PER"], ["O"], ["O"]]}
    write(tmp_path / "toy", "test", rows, class_label=False)
    named = config(tmp_path / "toy", columns={"words": "words", "tags": "ner"})
    text = load_splits(named)["test"]
    assert (text.words, text.tags, list(text.documents)) == ([["Ada"], ["in"]], [["B-PER"], ["O"]], [0, 1])

    write(tmp_path / "gold", "test", {"words": [["Ada"], ["in"]], "ner": [["B-X"], ["O"]]}, class_label=False)
    gold = load_gold(GoldConfig(name="gold", dataset="toy", file=str(tmp_path / "gold")), named, text)
    assert (gold.tags, list(gold.documents)) == ([["B-X"], ["O"]], [0, 1])


@pytest.mark.parametrize(
    ("split", "rows", "options", "message"),
    [
        (
            "test",
            {"tokens": [["a"]], "ner": [["O"]]},
            {},
            "there is no column 'ner_tags' or 'tags'; columns.tags can be one of tok",
        ),
        ("test", {"tokens": ["a"], "ner_tags": [["O"]]}, {}, "tokens is not a column of lists of words"),
        (
            "test",
            {"tokens": [["a"]], "ner_tags": [[3]]},
            {},
            "ner_tags holds integers without names; declare the data set's `labels`",
        ),
        (
            "test",
            {"tokens": [["a"]], "ner_tags": [["N"]]},
            {},
            r"\[test\] row 0 word 0: the tag 'N' of the word 'a' is nei",
        ),
        (
            "test",
            {"tokens": [["a"]], "ner_tags": [[None]]},
            {},
            "ner_tags does not hold lists of strings or integers, but",
        ),
        ("test", {"tokens": [["a"], ["b"]], "ner_tags": [["O"], ["O"] * 2]}, {}, "row 1: 1 words have 2 tags"),
        ("test", {"tokens": [["a"], ["b"]], "ner_tags": [["O"], None]}, {}, "row 1: 1 words have 0 tags"),
        (
            "test",
            {"tokens": [["a"], ["b"]], "ner_tags": [["B-X"], ["I-X"]]},
            {"invalid": "refuse"},
            "row 1 word 0: an entity begins with I-",
        ),
        ("test", {"tokens": [["a"]], "ner_tags": [["O"]]}, {"config": "x"}, "dataset toy: .* cannot be loaded .*'x'"),
    ],
)
def test_data_sets_that_cannot_be_used(
    tmp_path: Path, split: str, rows: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    write(tmp_path / "toy", split, rows, class_label=False)
    with pytest.raises(CorpusError, match=message) as caught:
        load_splits(config(tmp_path / "toy", **options))
    assert "\n" not in str(caught.value)


def test_class_label_without_a_name(tmp_path: Path) -> None:
    write(tmp_path / "toy", "test", {"tokens": [["a"]], "ner_tags": [[-1]]})
    with pytest.raises(CorpusError, match="row 0 word 0: the tag -1 is none of the 3 labels 'O, B-PER, I-PER'"):
        load_splits(config(tmp_path / "toy"))


def test_other_splits_are_listed(tmp_path: Path) -> None:
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string"))})
    rows = datasets.DatasetDict(dev_2=datasets.Dataset.from_dict({"tokens": [["a"]]}, features=features))
    for split, data in rows.items():
        (tmp_path / "toy" / "data").mkdir(parents=True)
        data.to_parquet(tmp_path / "toy" / "data" / f"{split}-00000-of-00001.parquet")
    with pytest.raises(
        CorpusError, match="dataset toy: it has no split train, validation or test; its splits are dev_2"
    ):
        load_splits(config(tmp_path / "toy"))


@pytest.mark.filterwarnings("ignore:The Pandas builder is deprecated")
def test_only_data_formats_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError, match="pandas is a pandas data set; convert it to Parquet"):
        load_splits(config(Path("pandas")))


@pytest.mark.parametrize(
    ("given", "revision", "asked"),
    [
        ("conllpp", None, ("ZihanWangKi/conllpp", "refs/convert/parquet")),
        ("conllpp", "abc", ("ZihanWangKi/conllpp", "abc")),
        ("org/other", None, ("org/other", None)),
    ],
)
def test_conllpp_is_found_where_the_hub_keeps_it(
    monkeypatch: pytest.MonkeyPatch, given: str, revision: str | None, asked: tuple[str, str | None]
) -> None:
    calls = []

    def ask(path: str, name: str | None, revision: str | None) -> None:
        calls.append((path, revision))
        raise ConnectionError("no network\nhere")

    monkeypatch.setattr(datasets, "load_dataset_builder", ask)
    with pytest.raises(CorpusError, match=r"cannot be loaded \(no network here\); check `path`"):
        load_splits(config(Path(given), revision=revision))
    assert calls == [asked]
