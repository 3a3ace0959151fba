"""`nerbench inspect-data` and `nerbench init`: their output, and that the written configuration works."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_corpus import write_corpus

from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config
from nerbench.tasks.config.loading import load_config

SPLITS = {"train": 30, "dev": 1, "test": 3}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a user's corpus in `data`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name, repeats in SPLITS.items():
        write_corpus(tmp_path / "data" / f"{name}.txt", repeats)
    return tmp_path


def test_the_written_configuration_loads_and_matches_the_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["init"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[:3] for line in printed.out.splitlines()] == [
        ["split", "sentences", "words"],
        ["train", "180", "990"],
        ["validation", "6", "33"],
        ["test", "18", "99"],
    ]
    assert "nerbench.yaml is written; `nerbench run` trains, saves and benchmarks" in printed.err
    assert "! test: 18 sentences (100.0%) also in train, with the same words" in printed.err
    text = (folder / "nerbench.yaml").read_text()
    assert "      validation: ./data/dev.txt\n" in text
    assert text.count("#") > 10, "a commented configuration"
    config = load_config(None)
    assert config.datasets[0].files == {
        split: str(folder / "data" / f"{name}.txt")
        for split, name in (("train", "train"), ("validation", "dev"), ("test", "test"))
    }


@pytest.mark.parametrize("command", ["run", "benchmark"])
def test_run_and_benchmark_accept_it(folder: Path, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Config] = []

    def flow(config: Config, **_: Any) -> dict[str, Any]:
        started.append(config)
        return {"run_id": "r", "artifacts": [], "tables": {}, "evaluated": 0, "cached": 0, "metrics": []}

    monkeypatch.setattr("nerbench.flows.pipeline.pipeline", flow)
    monkeypatch.setattr("nerbench.flows.benchmark.benchmark", flow)
    monkeypatch.setattr("nerbench.artifacts.references.resolve", lambda *_: [])
    assert status_of(["init", "-q"]) == 0
    assert status_of([command]) == 0
    assert started[0].datasets[0].name == "data"


@pytest.mark.e2e
@pytest.mark.slow
def test_a_newcomer_gets_from_files_to_scores(
    folder: Path, prefect_server: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["init"]) == 0
    assert status_of(["run", "--set", "benchmark.speed=false", "--set", "models.0.learning_rate=5e-3"]) == 0
    assert "F1" in capsys.readouterr().out
    assert status_of(["predict", "data-tagger", "Anna Berg visited Oslo ."]) == 0
    assert "[Anna Berg PER" in capsys.readouterr().out
    assert status_of(["history", "data-tagger"]) == 0


@pytest.mark.parametrize(
    ("left_out", "says"),
    [
        ("train", "to train, a train split is missing: name their files"),
        ("test", "there is no test split; to benchmark on another one"),
    ],
)
def test_a_missing_split_is_reported_and_not_invented(
    folder: Path, left_out: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "data" / f"{left_out}.txt").unlink()
    assert status_of(["init", "data", "-o", "mine.yaml"]) == 0
    assert says in capsys.readouterr().err
    config = load_config(folder / "mine.yaml")
    assert len(config.datasets[0].files) == 2
    assert config.benchmark.split == ("validation" if left_out == "test" else "test")


def test_a_validation_split_is_made_by_document_and_reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "data" / "dev.txt").unlink()
    assert status_of(["init"]) == 0
    printed = capsys.readouterr()
    said = "data/train.txt is divided by document: train 90%, validation 10%; to use other data, give dev=FILE"
    assert said in printed.err
    config = load_config(folder / "nerbench.yaml")
    assert str(config.datasets[0].split) == "train 90%, validation 10%, by document, seed 0"
    rows = {line.split()[0]: line.split()[1] for line in printed.out.splitlines()}
    assert rows == {"split": "sentences", "train": "162", "validation": "18", "test": "18"}


@pytest.mark.parametrize(
    ("arguments", "files", "split"),
    [
        (["train=data/one.txt", "dev=data/dev.txt"], {"train": "one", "validation": "dev"}, None),
        (["train=data/one.txt"], {"train": "one"}, "train 80%, validation 10%, test 10%, by document, seed 0"),
        (["all=data/one.txt"], {"all": "one"}, "train 80%, validation 10%, test 10%, by document, seed 0"),
        (["all=data/dev.txt"], {"all": "dev"}, "train 80%, validation 10%, test 10%, by sentence, seed 0"),
        (["test=data/one.txt"], {"test": "one"}, None),
        (["data/one.txt"], {"test": "one"}, None),
    ],
)
def test_files_are_named_with_their_split(
    folder: Path, arguments: list[str], files: dict[str, str], split: str | None
) -> None:
    (folder / "data" / "train.txt").rename(folder / "data" / "one.txt")
    assert status_of(["init", *arguments]) == 0
    (dataset,) = load_config(folder / "nerbench.yaml").datasets
    assert dataset.files == {name: str(folder / "data" / f"{file}.txt") for name, file in files.items()}
    assert (None if dataset.split is None else str(dataset.split)) == split


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train=nowhere.txt"], "train=nowhere.txt: there is no such file"),
        (["dev=data/dev.txt", "validation=data/dev.txt"], "there is a file for validation already"),
        (["tests=data/dev.txt"], "tests is not a key of a data set; give train=FILE, dev=FILE"),
        (["data", "flatten=all"], "flatten"),
        (["columns.tags=2"], "words in column 0 and tags in column 2 are read"),
    ],
)
def test_wrong_answers(folder: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["init", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not (folder / "nerbench.yaml").exists()


def test_keys_that_are_given_are_written(folder: Path) -> None:
    rows = [{"text": "Oslo University", "entities": [[0, 15, "ORG"], [0, 4, "LOC"]]}] * 20
    (folder / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ["flatten=longest", "tokenizer=whitespace", "label_map={ORG: O R G}", "invalid=refuse"]
    assert status_of(["init", "all=a.jsonl", *arguments]) == 0
    (dataset,) = load_config(folder / "nerbench.yaml").datasets
    assert (dataset.flatten, dataset.tokenizer, dataset.invalid) == ("longest", "whitespace", "refuse")
    assert dataset.label_map == {"ORG": "O R G"}


def test_overlapping_spans_name_the_key_that_chooses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"text": "Oslo University", "entities": [[0, 15, "ORG"], [0, 4, "LOC"]]}
    (folder / "a.jsonl").write_text(json.dumps(row))
    assert status_of(["init", "test=a.jsonl"]) == 2
    assert "1 of 2 spans overlap another one" in capsys.readouterr().err


def test_questions_are_asked_on_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "data" / "train.txt").rename(folder / "data" / "one.txt")
    asked: list[str] = []

    def answer(question: str, answers: Any) -> str:
        asked.append(question)
        return str(answers[0])

    monkeypatch.setattr("nerbench.flows.commands.init.ask", answer)
    assert status_of(["init", "data/one.txt"]) == 0
    assert asked == ["data/one.txt is the split"]
    assert list(load_config(folder / "nerbench.yaml").datasets[0].files) == ["all"]


def test_names_that_yaml_reads_otherwise_are_quoted(folder: Path) -> None:
    strange = folder / "da ta: #1 ${HOME} ü"
    (folder / "data").rename(strange)
    assert status_of(["init", str(strange), "--base", "yes", "-o", "mine.yaml"]) == 0
    config = load_config(folder / "mine.yaml", needs=("datasets",))
    assert config.datasets[0].files["train"] == str(strange / "train.txt")
    assert config.models[0].base == "yes"


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "nerbench.yaml").write_text("store: mine\n")
    assert status_of(["init"]) == 2
    assert "nerbench.yaml: exists already; choose another name, or overwrite it with --force" in capsys.readouterr().err
    assert (folder / "nerbench.yaml").read_text() == "store: mine\n"
    assert status_of(["init", "--force"]) == 0
    assert "datasets:" in (folder / "nerbench.yaml").read_text()


def test_inspection_of_a_configuration_and_of_its_files_are_equal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["init", "-q"]) == 0
    capsys.readouterr()
    found = []
    for arguments in ([], ["data"], ["data/train.txt", "data/dev.txt", "data/test.txt"]):
        assert status_of(["inspect-data", *arguments, "--json"]) == 0
        printed = capsys.readouterr()
        (dataset,) = json.loads(printed.out)["datasets"]
        found.append(
            [
                {key: one[key] for key in one if key not in ("source", "suspicious_characters")}
                for one in dataset["splits"]
            ]
        )
    assert found[0] == found[1] == found[2]
    assert [one["sentences"] for one in found[0]] == [180, 6, 18]


def test_inspection_as_text(folder: Path, tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["inspect-data", "data", "--model", str(tiny_model_folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("data: conll, scheme iob2, entity types LOC, MISC, ORG, PER\n! ")
    for title in ("splits", "entities; seen", "sentences that also occur in another split", "tokens"):
        assert f"\n{title}" in out
    assert "invalid tags" not in out
    assert "22.22" in out


def test_faults_are_shown_and_do_not_fail(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.conll").write_text("a B-X\nb I-X\n\nc O\nd I-X\n")
    assert status_of(["inspect-data", "bad.conll"]) == 0
    out = capsys.readouterr().out
    assert "! test: not valid in iob2: 1 place" in out
    assert "O → I-X" in out
