"""`init`, then `inspect-data`, for each format; the page on data formats; and one benchmark of all formats."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpus_formats import FORMS, SMALL, Document, Form, Sentence

from nerbench.flows.cli import status_of
from nerbench.tasks.inspection.guess_dataset import guess

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "data.md"
TABLE = re.compile(r"(?<=<!-- formats -->\n).*?(?=<!-- end -->)", re.DOTALL)
NAMES = {"train": "train", "validation": "dev", "test": "test"}
OF_CONLL = {"train": "train", "validation": "testa", "test": "testb"}


def write(form: Form, folder: Path, **documents: list[Document]) -> Path:
    folder.mkdir()
    for split, of_split in documents.items():
        names = OF_CONLL if form.file == "eng.{}" else NAMES
        form.write(of_split, folder / form.file.format(names[split]))
    return folder


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_init_and_inspect_data(
    form: Form, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(form, tmp_path / "data", train=SMALL * 2, validation=SMALL, test=SMALL)
    assert status_of(["init", *(["data"] if form.answers else []), *form.answers]) == 0
    assert "nerbench.yaml is written; `nerbench run` trains" in capsys.readouterr().err
    assert status_of(["inspect-data", "--json"]) == 0
    (dataset,) = json.loads(capsys.readouterr().out)["datasets"]
    found = {
        one["split"]: (one["documents"], one["sentences"], one["words"], one["entities"]) for one in dataset["splits"]
    }
    assert found == {"train": (4, 6, 34, 8), "validation": (2, 3, 17, 4), "test": (2, 3, 17, 4)}
    assert dataset["types"] == ["LOC", "ORG", "PER"]
    spaced = "whitespace" if "tokenizer=whitespace" in form.answers else None
    its_own = "file" if form.name in ("Prodigy", "spaCy 3, `Doc.to_json`") else None
    assert {one["tokenizer"] for one in dataset["splits"]} == {spaced or its_own}
    assert [one["cut_spans"] for one in dataset["splits"]] == [0, 0, 0]


def rows(folder: Path) -> list[str]:
    """The table of formats: the format in the configuration, and the output of `init` without its notes on the data."""
    lines = ["| data | files | `format` | what `init` prints |", "| --- | --- | --- | --- |"]
    for number, form in enumerate(FORMS):
        data = write(form, folder / str(number), train=SMALL, test=SMALL)
        answers = [answer for answer in form.answers if answer.startswith("columns")]
        found = guess([str(data), *answers])
        file = "folder" if form.file == "{}" else f"`{form.file.format('train')}`"
        printed = "; ".join(line.replace(f"{data}/", "") for line in found.assumptions) or "nothing"
        given = f" (with `{' '.join(answers)}`)" if answers else ""
        lines.append(
            f"| {form.name} | {file} | `{found.dataset.format}`{given} | {printed} |".replace("word|TAG", "word\\|TAG")
        )
    return lines


def test_the_documents_show_the_output_of_init(tmp_path: Path) -> None:
    table = "\n".join(rows(tmp_path)) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(TABLE.sub(lambda _: table, PAGE.read_text()))
    found = TABLE.search(PAGE.read_text())
    assert found is not None
    assert found[0] == table, "run UPDATE_DOCS=1 pytest tests/flows/commands/test_init_formats.py"


NAMED = [
    ["Anna", "Berg", "visited", "Oslo", "."],
    ["Nordwind", "AS", "is", "in", "Turku", "."],
    ["It", "is", "late", "."],
]
SPANS: list[Any] = [[(0, 2, "PER"), (3, 4, "LOC")], [(0, 2, "ORG"), (4, 5, "LOC")], []]


def documents(count: int) -> list[Document]:
    return [[Sentence(w, s) for w, s in zip(NAMED, SPANS, strict=True)] for _ in range(count)]


@pytest.mark.e2e
@pytest.mark.slow
def test_one_model_scores_the_same_on_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    datasets = []
    for number, form in enumerate(FORMS):
        splits = {"train": documents(20), "validation": documents(2), "test": documents(4)}
        folder = write(form, tmp_path / f"data{number}", **splits)
        assert status_of(["init", "-q", str(folder), *form.answers, "-o", f"{number}.yaml"]) == 0
        datasets += yaml.safe_load(Path(f"{number}.yaml").read_text())["datasets"]
    config = yaml.safe_load(Path("0.yaml").read_text()) | {"datasets": datasets}
    config["models"][0] |= {"learning_rate": 5e-3, "dataset": "data0"}
    config["benchmark"] |= {"speed": False}
    Path("nerbench.yaml").write_text(yaml.safe_dump(config))
    assert status_of(["run"]) == 0
    capsys.readouterr()
    assert status_of(["results", "show", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["metrics"]
    headline = {"mode": "strict", "label": "overall", "average": "micro", "metric": "f1", "slice": "all"}
    found = {row["dataset"]: row for row in rows if all(row[key] == value for key, value in headline.items())}
    assert {*found} == {f"data{number}" for number in range(len(FORMS))}
    same = ("words_sha256", "gold_sha256", "predictions_digest", "value", "n_gold", "n_documents")
    assert len({tuple(row[key] for key in same) for row in found.values()}) == 1
    assert (found["data0"]["n_gold"], found["data0"]["n_documents"]) == (16, 4)
    assert found["data0"]["value"] > 0.9
