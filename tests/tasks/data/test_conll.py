"""CoNLL files in their variants, and invalid lines."""

import re
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.conll import column_splitter, read_conll
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.data.readers import Sentence


def dataset(folder: Path, content: str | bytes, **options: Any) -> DatasetConfig:
    path = folder / "a.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DatasetConfig(name="a", files={"test": str(path)}, **options)


def read(folder: Path, content: str | bytes, **options: Any) -> list[Sentence]:
    return list(read_conll(str(folder / "a.txt"), dataset(folder, content, **options)).sentences)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        ("EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\n. . O O\n", {}),
        ("EU\tB-ORG\nrejects\tO\n\n.\tO", {}),
        ("EU  \t B-ORG \n rejects O\n\n. O\n", {}),
        ("EU\tB-ORG\nrejects\tO\n\t\n \t \n.\tO\n\t\n", {}),
        ("EU B-ORG\r\nrejects O\r\n\r\n. O\r\n", {}),
        ("EU\tB-ORG\r\nrejects\tO \r\n\t\r\n.\tO\r\n", {"delimiter": "tab"}),
        ("\n\nEU  B-ORG\nrejects O\n\n\n. O\n\n", {"delimiter": "space"}),
        ("\ufeffEU B-ORG\nrejects O\n\n. O\n", {}),
        ("B-ORG x EU\nO x rejects\n\nO x .\n", {"columns": {"words": -1, "tags": 0}}),
        ("EU B-ORG x\nrejects O x\n\n. O x\n", {"columns": {"tags": 1}}),
        (
            "# global.columns = ID NER FORM\n# text = EU rejects\n1\tB-ORG\tEU\n2\tO\trejects\n\n# newpar\n1\tO\t.\n",
            {"columns": {"words": "FORM", "tags": "NER"}},
        ),
        ("# global.columns = ID FORM NER\n1\tEU\tB-ORG\n2\trejects\tO\n\n1\t.\tO\n", {}),
        ("# text = EU rejects\n1-2\tEU rejects\tO\n1\tEU\tB-ORG\n2\trejects\tO\n2.1\tall\tO\n\n1\t.\tO\n", {}),
        ("1\tEU\tB-ORG\tx\n2\trejects\tO\tx\n\n# newpar\n1\t.\tO\tx\n", {"columns": {"words": 1, "tags": 2}}),
        ("EU B-ORG\nrejects O\n\n. O\n".encode("utf-16"), {"encoding": "utf-16"}),
    ],
)
def test_layouts(tmp_path: Path, content: str | bytes, options: dict[str, Any]) -> None:
    sentences = read(tmp_path, content, **options)
    assert [sentence[:3] for sentence in sentences] == [(["EU", "rejects"], ["B-ORG", "O"], None), (["."], ["O"], None)]


@pytest.mark.parametrize(
    ("content", "documents"),
    [
        ("-DOCSTART- -X- O\n\nA x O\n\nB x O\n\n-DOCSTART- -X- O\n\nC x O\n", [0, 0, 1]),
        ("-DOCSTART-\n-DOCSTART-\n\nA O\n-DOCSTART- O\nB O\n\nC O\n-DOCSTART-\n", [0, 1, 1]),
        ("A O\n\n-DOCSTART- O\n\nB O\n\nC O\n", [0, 1, 1]),
    ],
    ids=["usual", "without blank lines", "only between"],
)
def test_documents(tmp_path: Path, content: str, documents: list[int]) -> None:
    corpus = load_splits(dataset(tmp_path, content))["test"]
    assert corpus.words == [["A"], ["B"], ["C"]]
    assert list(corpus.documents or ()) == documents


def test_only_blanks_and_tabs_separate_columns(tmp_path: Path) -> None:
    assert read(tmp_path, "10\u00a0000 O\nx\u2028y O\n\x85 O\n")[0].words == ["10\u00a0000", "x\u2028y", "\x85"]
    assert read(tmp_path, "New York\tB-LOC\n", delimiter="tab")[0].words == ["New York"]


@given(st.text(" \t\u00a0a\u2028b", max_size=12), st.sampled_from(["auto", "space"]))
def test_columns_are_split_as_by_the_pattern_of_their_delimiter(line: str, delimiter: str) -> None:
    pattern = "[ \t]+" if delimiter == "auto" else " +"
    assert column_splitter(delimiter)(line) == re.split(pattern, line.strip(" \t"))


def test_a_hash_is_a_word_without_a_header(tmp_path: Path) -> None:
    assert read(tmp_path, "# O\n1 O\n")[0].words == ["#", "1"]


def test_places_are_lines(tmp_path: Path) -> None:
    source = read_conll(f"{tmp_path}/a.txt", dataset(tmp_path, "-DOCSTART- O\n\n\nA O\nB O\n \n\nC O\n"))
    places = [source.place(sentence.at, word) for sentence in source.sentences for word in range(len(sentence.words))]
    assert places == [f"{tmp_path}/a.txt:{n}" for n in (4, 5, 8)]


def test_urls() -> None:
    url = "memory://conll/a.txt"
    fsspec.filesystem("memory").pipe("/conll/a.txt", b"EU B-ORG\n")
    assert load_splits(DatasetConfig(name="a", files={"test": url}))["test"].words == [["EU"]]
    with pytest.raises(CorpusError, match=r"memory://conll/b.txt: cannot be read \(FileNotFoundError"):
        load_splits(DatasetConfig(name="a", files={"test": "memory://conll/b.txt"}))


@pytest.mark.parametrize(
    ("content", "options", "line", "message"),
    [
        ("A O\nEU\n", {}, 2, "has 1 column where line 1 has 2: 'EU'"),
        ("EU NNP B-NP B-ORG\nrejects VBZ B-VP\n", {}, 2, "has 3 columns where line 1 has 4: 'rejects VBZ B-VP'"),
        ("A O\nNew York B-LOC\n", {}, 2, "has 3 columns where line 1 has 2"),
        ("\nEU\n", {}, 2, "has 1 column, no tag beside the word: 'EU'"),
        ("EU O\n", {"columns": {"tags": 3}}, 1, "has 2 columns, no tag beside the word: 'EU O'; words in column 0 and"),
        ("EU O\n", {"columns": {"words": 1}}, 1, "has 2 columns, no tag beside the word"),
        ("A\tO\nEU\t\n", {"delimiter": "tab"}, 2, "has no tag: 'EU\\t'; write O"),
        ("A\tO\n\tO\n", {"delimiter": "tab"}, 2, "has no word: '\\tO'"),
        ("EU NNP\n", {}, 1, "the tag 'NNP' of the word 'EU' is neither O nor one of B-TYPE, I-TYPE, E-TYPE, S-TYPE, "),
        (
            "EU NNP\n",
            {},
            1,
            "name the tags' place in `columns`, or declare the `scheme` (io where tags are bare types)",
        ),
        ("A O\nB o\n", {}, 2, "the tag 'o' of the word 'B' is neither"),
        ("A O\nB B-\n", {}, 2, "the tag 'B-' of the word 'B' is neither"),
        ("A O\nB B-\x07\n", {}, 2, "is neither"),
        ("A O\nB S-X\n", {"scheme": "iob2"}, 2, "neither O nor one of B-TYPE, I-TYPE of the declared scheme iob2"),
        (f"{'x' * 200} B\n", {}, 1, f"of the word '{'x' * 79}…' is neither"),
        (b"A O\n\nK\xf6ln B-LOC\n", {}, 3, "the byte 0xf6 at offset 6 is not utf-8; declare the file's `encoding`"),
        ("A O\n".encode("utf-16"), {}, 1, "declare the file's `encoding`, which seems to be utf-16"),
        ("A O\n", {"columns": {"tags": "ner"}}, 1, "there is no `# global.columns =` header"),
        ("# global.columns = FORM NER\nA\tO\n", {"columns": {"tags": "ner"}}, 1, "columns.tags can be FORM, NER"),
    ],
)
def test_lines_that_cannot_be_read(
    tmp_path: Path, content: str | bytes, options: dict[str, Any], line: int, message: str
) -> None:
    with pytest.raises(CorpusError) as caught:
        load_splits(dataset(tmp_path, content, **options))
    assert str(caught.value).startswith(f"{tmp_path}/a.txt:{line}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n\t\n", "-DOCSTART- O\n\n"])
def test_empty_files(tmp_path: Path, content: str) -> None:
    with pytest.raises(CorpusError, match=r"a\.txt: holds no sentence; name a source"):
        load_splits(dataset(tmp_path, content))


@pytest.mark.parametrize(
    ("path", "problem"),
    [("no/such.txt", "No such file"), (".", "is not a regular file"), ("\0", "null"), ("x://y", "x://y")],
)
def test_files_that_cannot_be_opened_are_named_as_given(path: str, problem: str) -> None:
    with pytest.raises(CorpusError, match=problem) as caught:
        load_splits(DatasetConfig(name="a", files={"test": path}))
    assert str(caught.value).startswith(f"{path}: ")
