"""Guessing the format of files from their content."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.errors import InputError
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.inspection.conll_layout import layout_of
from nerbench.tasks.inspection.guess_dataset import Guess, guess, split_of

PLAIN = "Anna B-PER\nBerg I-PER\nleft O\n\nOslo B-LOC\n"


def write(folder: Path, **contents: str | bytes) -> Path:
    for name, content in contents.items():
        path = folder / name.replace("__", "-").replace("_", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("train.txt", "train"),
        ("eng.testa", "validation"),
        ("esp.train.gz", "train"),
        ("eng.train.conll", "train"),
        ("de-dev.tsv", "validation"),
        ("valid.txt", "validation"),
        ("Corpus_VALIDATION.conll", "validation"),
        ("test2.iob", "test"),
        ("train-test.conll", "test"),
        ("contest.txt", None),
        ("all.txt", None),
    ],
)
def test_the_split_follows_from_the_file_name(file: str, split: str | None) -> None:
    assert split_of(f"/train/{file}") == split


def test_a_folder_with_the_usual_names(tmp_path: Path) -> None:
    folder = write(tmp_path, train_txt=PLAIN, dev_txt=PLAIN, test_txt=PLAIN, README_txt="about", notes_md="x")
    found = guess([str(folder)])
    assert {split: Path(file).name for split, file in found.dataset.files.items()} == {
        "train": "train.txt",
        "validation": "dev.txt",
        "test": "test.txt",
    }
    assert found.assumptions == ()
    assert (found.dataset.encoding, found.dataset.scheme, found.dataset.columns) == ("utf-8", "auto", {})


@pytest.mark.parametrize(
    ("lines", "columns", "delimiter", "scheme", "assumptions"),
    [
        ("Anna B-PER\nOslo B-LOC", {}, "auto", "auto", ""),
        ("EU NNP B-NP B-ORG\nrejects VBZ B-VP O", {}, "auto", "auto", "column 3 (ORG); to read column 2 (NP, VP)"),
        ("1\tAnna\tB-PER\tx\n2\tmet\tO\ty", {"words": 1, "tags": 2}, "auto", "auto", "words are read from column 1"),
        ("B-PER Anna\nO met", {"words": 1, "tags": 0}, "auto", "auto", "words are read from column 1"),
        ("New York\tB-LOC\nleft\tO", {}, "tab", "auto", ""),
        ("Anna PER\nmet O\nOslo LOC", {}, "auto", "io", "bare types (LOC, O, PER)"),
        ("# text = Anna\nAnna B-PER\n\n# next\nmet O", {}, "auto", "auto", ""),
        ("-DOCSTART- -X- O\n\nAnna NN B-PER", {}, "auto", "auto", ""),
    ],
)
def test_layouts(lines: str, columns: dict[str, int], delimiter: str, scheme: str, assumptions: str) -> None:
    found = layout_of("a.txt", lines.split("\n"))
    assert (found.columns, found.delimiter, found.scheme) == (columns, delimiter, scheme)
    assert assumptions in " ".join(found.assumptions)
    assert bool(assumptions) == bool(found.assumptions)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "Word\tPOS\tTag\nAnna\tN\tB-PER\nBerg\tN\tI-PER\nleft\tV\tO\n\nOslo\tN\tB-LOC\n",
        "Anna|B-PER Berg|I-PER left|O\nOslo|B-LOC\n",
        "1\tAnna\tB-PER\t_\n2\tBerg\tI-PER\t_\n3\tleft\tO\t_\n\n1\tOslo\tB-LOC\t_\n",
        "B-PER Anna\nI-PER Berg\nO left\n\nB-LOC Oslo\n",
        PLAIN.replace(" ", "\t").replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        "".join(
            json.dumps({"tokens": t, "ner_tags": n}) + "\n"
            for t, n in ((["Anna", "Berg", "left"], ["B-PER", "I-PER", "O"]), (["Oslo"], ["B-LOC"]))
        ),
    ],
)
def test_the_guessed_format_reads_the_same_words_and_tags(tmp_path: Path, content: str) -> None:
    write(tmp_path, test_txt=content)
    corpus = load_splits(guess([str(tmp_path / "test.txt")]).dataset)["test"]
    assert list(corpus.words) == [["Anna", "Berg", "left"], ["Oslo"]]
    assert list(corpus.tags) == [["B-PER", "I-PER", "O"], ["B-LOC"]]


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"tokens": [["Anna"]], "ner_tags": [["B-PER"]]}), tmp_path / "train.parquet")
    found = guess([str(tmp_path)])
    assert (found.dataset.format, list(found.dataset.files)) == ("parquet", ["train"])


@pytest.mark.parametrize(("encoding", "guessed"), [("cp1252", "cp1252"), ("utf-16", "utf-16")])
def test_other_encodings_are_reported(tmp_path: Path, encoding: str, guessed: str) -> None:
    write(tmp_path, test_txt="Müller B-PER\n".encode(encoding))
    found = guess([str(tmp_path / "test.txt")])
    assert found.dataset.encoding == guessed
    assert found.assumptions
    assert list(load_splits(found.dataset)["test"].words) == [["Müller"]]


def test_a_single_file_without_a_split_name_is_the_test_split_and_reported(tmp_path: Path) -> None:
    found: Guess = guess([str(write(tmp_path, mine_conll=PLAIN) / "mine.conll")])
    assert list(found.dataset.files) == ["test"]
    assert "is used as the test split" in found.assumptions[0]
    assert found.dataset.name == "mine"


def test_one_of_several_files_without_a_split_name_is_left_out_and_reported(tmp_path: Path) -> None:
    found = guess([str(write(tmp_path, train_txt=PLAIN, more_txt=PLAIN))])
    assert list(found.dataset.files) == ["train"]
    assert "more.txt is left out" in found.assumptions[0]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, ("holds no file of data", ".conll")),
        ({"train_txt": PLAIN, "train_conll": PLAIN}, ("train.conll", "train.txt", "could both be the train split")),
        ({"one_txt": PLAIN, "two_txt": PLAIN}, ("names without train, dev or test",)),
        ({"train_txt": b"\x7fELF\0\0"}, ("train.txt", "binary")),
        ({"train_txt": " \n"}, ("train.txt", "is empty")),
        ({"train_txt": "just some text\nof nothing here\n"}, ("train.txt", "no column of tags", "just some text")),
        ({"train_txt": "Anna\n"}, ("train.txt", "no column of tags")),
        ({"train_txt": "-DOCSTART- O\n"}, ("train.txt", "holds no word")),
        ({"train_json": "[1]"}, ("train.json", "one object per line")),
        ({"train_jsonl": "{"}, ("train.jsonl:1", "is not valid JSON")),
        ({"train_spacy": b"\0"}, ("train.spacy", "format: spacy")),
        ({"train_txt": PLAIN, "test_json": '{"tokens": []}'}, ("several formats", "conll, json")),
        ({"train_txt": PLAIN, "test_txt": "Anna x B-PER y\n"}, ("test.txt", "other columns")),
    ],
)
def test_data_that_cannot_be_recognised(tmp_path: Path, files: dict[str, Any], says: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as raised:
        guess([str(write(tmp_path, **files))])
    assert all(part in str(raised.value) for part in says), str(raised.value)


def test_the_user_chooses_the_column_of_tags(tmp_path: Path) -> None:
    file = write(tmp_path, test_txt="EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n") / "test.txt"
    asked: list[Any] = []

    def ask(*question: Any) -> str:
        asked.append(question)
        return "2"

    found = guess([str(file)], ask)
    assert asked == [("The tags are in column", ("3", "2"))]
    assert found.dataset.columns == {"tags": 2}
    assert found.assumptions == ()
    assert guess([str(file), "columns.tags=2"], ask) == found
    assert len(asked) == 1


def test_a_hub_id_and_a_missing_file_are_distinguished() -> None:
    found = guess(["org/corpus"])
    assert (found.dataset.format, found.dataset.path, found.dataset.name) == ("hub", "org/corpus", "corpus")
    for missing in ("nowhere.txt", "./nowhere", "a/b/c.conll", "org/corpus.conll"):
        with pytest.raises(InputError, match="there is no such file"):
            guess([missing])
