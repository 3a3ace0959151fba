"""While Prefect's server starts, a benchmark does what its report needs later."""

from pathlib import Path

import pytest

from nerbench.artifacts.memoized_reads import read_once
from nerbench.flows.preflight import _prepare_report
from nerbench.tasks.config import Config
from nerbench.tasks.inspection import inspection


def config_of(file: Path, *, report: bool = True) -> Config:
    return Config.model_validate(
        {"dataset": {"name": "own", "files": {"test": str(file)}}, "benchmark": {"report": report}}
    )


def test_the_report_inspects_nothing_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "test.txt"
    file.write_text("Ada B-PER\n")
    with read_once():
        _prepare_report(config_of(file))
        monkeypatch.setattr(inspection, "read_sources", None)
        assert inspection.inspect(config_of(file)).datasets[0].types == ("PER",)


def test_a_run_without_a_report_inspects_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "read_sources", None)
    _prepare_report(config_of(tmp_path / "test.txt", report=False))


def test_an_invalid_corpus_is_left_to_the_flow(tmp_path: Path) -> None:
    file = tmp_path / "test.txt"
    file.write_text("")
    with read_once():
        _prepare_report(config_of(file))
