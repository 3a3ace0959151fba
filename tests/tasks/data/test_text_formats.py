"""BRAT, CSV, Label Studio, spaCy and `word|TAG`: skipped parts and invalid files."""

import json
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig, GoldConfig
from nerbench.tasks.data.corpus import Corpus, load_gold, load_splits


def load(path: Path, kind: str, content: Any = None, **options: Any) -> Corpus:
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content), newline="")
    config = {"name": "toy", "format": kind, "files": {"test": str(path)}, **options}
    return load_splits(DatasetConfig.model_validate(config))["test"]


def brat(folder: Path, text: str, annotations: str, **options: Any) -> Corpus:
    folder.mkdir()
    (folder / "a.txt").write_text(text, newline="")
    (folder / "a.ann").write_text(annotations, newline="")
    return load(folder, "brat", **options)


def test_brat_reads_only_entities(tmp_path: Path) -> None:
    lines = "T1\tPER 0 4\tAnna\nR1\tLives Arg1:T1 Arg2:T2\nA1\tSure T1\n#1\tNote T1\tx\nT2\tLOC 12 16\tOslo\n"
    corpus = brat(tmp_path / "test", "Anna left.\r\nOslo", lines)
    assert list(corpus.words) == [["Anna", "left", "."], ["Oslo"]]
    assert list(corpus.tags) == [["B-PER", "O", "O"], ["B-LOC"]]
    assert list(corpus.documents or ()) == [0, 0]


PARTS = "T1\tLOC 0 5;15 20\tNorth Korea\n"


@pytest.mark.parametrize(
    ("flatten", "tags"), [("outer", ["B-LOC", "I-LOC", "I-LOC", "I-LOC"]), ("longest", ["B-LOC", "O", "O", "O"])]
)
def test_brat_s_entities_of_several_parts(tmp_path: Path, flatten: str, tags: list[str]) -> None:
    text = "North and South Korea"
    corpus = brat(tmp_path / "a", text, PARTS.replace("15 20", "16 21"), flatten=flatten)
    assert list(corpus.tags) == [tags]
    with pytest.raises(CorpusError, match=r"a.ann:1: an entity of several parts.*flatten: outer"):
        brat(tmp_path / "b", text, PARTS.replace("15 20", "16 21"))


@pytest.mark.parametrize(
    ("annotations", "says"),
    [
        ("T1\tPER 1 5\tAnna\n", r"a.ann:1: 'Anna' is 'nna ' in the text"),
        ("\nT1 PER 0 4 Anna\n", r"a.ann:2: is not an entity"),
        ("T1\tPER 0 40\tAnna\n", r"'Anna' is 'Anna left'"),
    ],
)
def test_invalid_brat_files(tmp_path: Path, annotations: str, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        brat(tmp_path / "a", "Anna left", annotations)


def test_a_folder_of_brat_needs_its_files(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"holds no \.txt file"):
        load(tmp_path, "brat")
    (tmp_path / "a.txt").write_text("Anna")
    with pytest.raises(CorpusError, match=r"a\.ann: No such file"):
        load(tmp_path, "brat")
    (tmp_path / "a.ann").symlink_to("/etc/hostname")
    with pytest.raises(CorpusError, match=r"a\.ann: is a link out of its folder"):
        load(tmp_path, "brat")


def test_a_changed_file_of_brat_is_read_again(tmp_path: Path) -> None:
    assert list(brat(tmp_path / "a", "Anna left", "").words) == [["Anna", "left"]]
    (tmp_path / "a" / "a.txt").write_text("Oslo")
    assert list(load(tmp_path / "a", "brat").words) == [["Oslo"]]


@pytest.mark.parametrize(
    "content",
    [
        "word,tag\nAnna,B-PER\nleft,O\n\nOslo,B-LOC\n",
        "Sentence #;Word;POS;Tag\nSentence: 1;Anna;N;B-PER\n;left;V;O\nSentence: 2;Oslo;N;B-LOC\n",
        "sentence_id\ttoken\tner_tags\r\n1\tAnna\tB-PER\r\n1\tleft\tO\r\n2\tOslo\tB-LOC\r\n",
        'word,tag\n"Anna","B-PER"\n"left","O"\n,\nOslo,B-LOC\n',
    ],
)
def test_csv_of_words(tmp_path: Path, content: str) -> None:
    corpus = load(tmp_path / "a.csv", "csv", content)
    assert list(corpus.words) == [["Anna", "left"], ["Oslo"]]
    assert list(corpus.tags) == [["B-PER", "O"], ["B-LOC"]]


def test_csv_of_texts_whose_cells_have_line_breaks(tmp_path: Path) -> None:
    corpus = load(tmp_path / "a.csv", "csv", 'id,text,spans\n1,"Anna ""x""\nOslo","[[9, 13, ""LOC""]]"\n')
    assert list(corpus.words) == [["Anna", '"', "x", '"'], ["Oslo"]]
    assert list(corpus.tags) == [["O"] * 4, ["B-LOC"]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b\n1,2\n", "there is no column of words; columns.words can be one of a, b"),
        ("word,tag\nAnna\n", "row 2: has 1 cells, the header 2: 'Anna'"),
        ('word,tag\n"Anna,O\n', "is not valid CSV"),
        ("text,entities\nAnna,PER\n", "row 2: is not valid JSON"),
        ("word,tag\n", "holds no sentence"),
    ],
)
def test_invalid_csv_files(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        load(tmp_path / "a.csv", "csv", content)


def task(**changes: Any) -> dict[str, Any]:
    value = {"start": 0, "end": 4, "text": "Anna", "labels": ["PER"]}
    annotation = {"result": [{"type": "labels", "value": value}, {"type": "choices", "value": {"choices": ["x"]}}]}
    return {"data": {"text": "Anna left"}, "annotations": [annotation]} | changes


def test_label_studio_leaves_out_tasks_without_annotation(tmp_path: Path) -> None:
    cancelled = {"was_cancelled": True, "result": []}
    tasks = [
        task(),
        task(annotations=[]),
        task(annotations=[cancelled, *task()["annotations"]], data={"post": "Anna x"}),
    ]
    corpus = load(tmp_path / "a.json", "label-studio", tasks)
    assert list(corpus.words) == [["Anna", "left"], ["Anna", "x"]]
    assert list(corpus.tags) == [["B-PER", "O"]] * 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"annotations": task()["annotations"] * 2}, "item 0: the task has 2 annotations; keep one for each task"),
        ({"data": {"a": "Anna", "b": "left"}}, "item 0: the task has 2 texts: a, b"),
        ({"annotations": [{"result": [{"type": "hypertextlabels", "value": {}}]}]}, "of the type hypertextlabels"),
        ({"annotations": {}}, "item 0: has no list of annotations"),
    ],
)
def test_invalid_label_studio_files(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        load(tmp_path / "a.json", "label-studio", [task(**changes)])


def test_a_text_without_spans_is_not_read_as_words(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"no column 'entities' or .*; columns.spans can be one of text, marks"):
        load(tmp_path / "a.jsonl", "json", '{"text": "Anna", "marks": []}\n')
    row = {"text": "Anna", "marks": [[0, 4, "PER"]]}
    assert list(load(tmp_path / "a.jsonl", "json", row, columns={"spans": "marks"}).tags) == [["B-PER"]]


@pytest.mark.parametrize("nested", [True, False])
def test_a_saved_dataset_of_spans(tmp_path: Path, nested: bool) -> None:
    import datasets

    span = {
        "start": datasets.Value("int32"),
        "end": datasets.Value("int32"),
        "type": datasets.ClassLabel(names=["PER"]),
    }
    kind = datasets.List(span) if nested else datasets.Sequence(span)
    spans: Any = [{"start": 0, "end": 4, "type": 0}] if nested else {"start": [0], "end": [4], "type": [0]}
    rows = datasets.Dataset.from_list(
        [{"text": "Anna left", "entities": spans, "document": "x"}],
        features=datasets.Features(
            {"text": datasets.Value("string"), "entities": kind, "document": datasets.Value("string")}
        ),
    )
    datasets.DatasetDict({"test": rows}).save_to_disk(str(tmp_path / "saved"))
    config = DatasetConfig(name="toy", format="datasets", path=str(tmp_path / "saved"))
    corpus = load_splits(config)["test"]
    assert list(corpus.tags) == [["B-PER", "O"]]
    assert (list(corpus.documents or ()), corpus.tokenizer) == ([0], "rules-1")


def test_a_gold_of_spans_annotates_words_of_conll(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Anna O\nBerg O\n")
    dataset = DatasetConfig(name="toy", files={"test": str(tmp_path / "a.txt")}, invalid="refuse")
    (tmp_path / "b.jsonl").write_text('{"text": "Anna Berg", "entities": [[0, 9, "PER"]]}\n')
    gold = GoldConfig(name="other", dataset="toy", file=str(tmp_path / "b.jsonl"), format="json")
    words = load_splits(dataset)["test"]
    assert list(load_gold(gold, dataset, words).tags) == [["B-PER", "I-PER"]]
    (tmp_path / "b.jsonl").write_text('{"text": "Anna Berg", "entities": [[0, 8, "PER"]]}\n')
    with pytest.raises(CorpusError, match="1 of 1 spans cut a word"):
        load_gold(gold, dataset, words)


def test_prodigy_leaves_out_examples_that_were_not_accepted(tmp_path: Path) -> None:
    rows = [{"text": text, "spans": [], "answer": answer} for text, answer in (("a", "accept"), ("b", "reject"))]
    corpus = load(tmp_path / "a.jsonl", "json", "\n".join(map(json.dumps, rows)))
    assert list(corpus.words) == [["a"]]


def test_spacy_pairs_can_be_one_per_line(tmp_path: Path) -> None:
    corpus = load(tmp_path / "a.jsonl", "spacy", '["Anna", {"entities": [[0, 4, "PER"]]}]\n["x", {"entities": []}]\n')
    assert list(corpus.tags) == [["B-PER"], ["O"]]
    with pytest.raises(CorpusError, match=r"a.jsonl:1: is neither a document nor a text with its entities"):
        load(tmp_path / "a.jsonl", "spacy", '["Anna"]\n')


def test_words_and_tags_in_one_item(tmp_path: Path) -> None:
    corpus = load(tmp_path / "a.iob", "conll", "Anna|B-PER left|O\n\n||O\n", delimiter="pipe")
    assert list(corpus.words) == [["Anna", "left"], ["|"]]
    assert list(corpus.tags) == [["B-PER", "O"], ["O"]]
    with pytest.raises(CorpusError, match=r"a.iob:1: 'left' is not of the form of the first item"):
        load(tmp_path / "a.iob", "conll", "Anna|B-PER left\n", delimiter="pipe")
