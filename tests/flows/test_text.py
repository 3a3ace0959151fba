"""`benchmark.text: drop`: no file and no output of a benchmark contains a word of the corpus."""

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from small_corpus import write_corpus

from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e


@pytest.fixture
def words(config: Config, finished: dict[str, Any], tmp_path: Path) -> set[str]:
    """Words that occur only in `secret.txt`, a corpus with the tags of the flow tests' corpus."""
    lines = Path(write_corpus(tmp_path / "plain.txt", 2)).read_text().splitlines()
    renamed = {line.split()[0]: f"Qx{number}vorzel" for number, line in enumerate(lines) if line}
    del renamed["-DOCSTART-"]
    text = "\n".join(" ".join([renamed.get(word, word) for word in line.split()]) for line in lines)
    (tmp_path / "secret.txt").write_text(text + "\n")
    return set(renamed.values())


def benchmark(config: Config, folder: Path, text: str, *options: str) -> int:
    """Benchmark a published model on `secret.txt` with new results, like the command."""
    job = config.model_dump(mode="json")
    job["datasets"][0]["files"]["test"] = str(folder / "secret.txt")
    job["golds"] = [{"name": "second", "dataset": "own", "file": str(folder / "secret.txt")}]
    job["results"] = str(folder / text)
    job["benchmark"] |= {"text": text, "report": True}
    (folder / "job.yaml").write_text(yaml.safe_dump(job))
    return status_of(["benchmark", "tiny@latest", "-c", str(folder / "job.yaml"), *options])


def found_in(folder: Path, words: set[str]) -> set[str]:
    """The files that contain one of `words` in their names, bytes or decoded Parquet values."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".parquet", ".json"}
    assert any(".cache" in path.parts for path in files)
    return {path.relative_to(folder).parts[0] for path in files if any(word in _texts_of_file(path) for word in words)}


def _texts_of_file(path: Path) -> str:
    said = str(path) + path.read_bytes().decode("latin-1")
    if path.suffix == ".parquet":
        table = pq.read_table(path, partitioning=None)
        said += f"{table.schema.metadata} {table.to_pydict()}"
    return said


@pytest.mark.slow
def test_dropped_words_are_in_no_file_and_in_no_output(
    config: Config,
    words: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        assert benchmark(config, tmp_path, "drop", "--speed") == 0
        table = capsys.readouterr()
        assert benchmark(config, tmp_path, "drop", "--json") == 0
        plain = capsys.readouterr()
    assert "F1" in table.out
    assert json.loads(plain.out)["cached"] == 1
    said = table.out + table.err + plain.out + plain.err + caplog.text
    assert not [word for word in words if word in said]
    assert found_in(tmp_path / "drop", words) == set()
    assert {path.name for path in (tmp_path / "drop").iterdir()} >= {
        "predictions",
        "errors",
        "confusion",
        "calibration",
    }


def test_kept_words_are_only_in_predictions_and_errors(config: Config, words: set[str], tmp_path: Path) -> None:
    assert benchmark(config, tmp_path, "keep") == 0
    assert found_in(tmp_path / "keep", words) == {"predictions", "errors"}
