"""The report after a benchmark in real flow runs: it is written, its path is printed, and failures do no harm."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.tables.tables import read_results
from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config
from nerbench.tasks.report.page import BEGINNING

pytestmark = pytest.mark.e2e


def benchmark(config: Config, **options: Any) -> dict[str, Any]:
    from nerbench.flows.benchmark import benchmark

    return benchmark(config, **options)


def fresh(config: Config, folder: Path, **sections: Any) -> Config:
    """The configuration with separate results and one model."""
    benchmarked = config.benchmark.model_dump() | {"models": ["tiny@latest"], "labels": ["PER"], "report": True}
    changes = {"results": str(folder / "results"), "benchmark": benchmarked | sections.pop("benchmark", {})}
    return Config.model_validate(config.model_dump() | changes | sections)


def newest_shown(key: str) -> str:
    """The newest artifact that Prefect shows under a key."""
    from prefect.artifacts import Artifact

    found: Any = Artifact.get(key)
    return str(found.data)


def test_a_pipeline_writes_its_report_and_prints_the_path(config: Config, finished: dict[str, Any]) -> None:
    path = Path(finished["report"])
    assert path == Path(config.results) / "reports" / f"{finished['run_id']}.html"
    assert path.read_text().startswith(BEGINNING)


def test_a_failed_gate_has_a_report_that_prefect_shows(
    config: Config, finished: dict[str, Any], tmp_path: Path
) -> None:
    failing = fresh(config, tmp_path, gate={"baseline": "champion"})
    with pytest.raises(RunFailedError) as failed:
        benchmark(failing)
    assert failed.value.summary is not None
    path = failed.value.summary["report"]
    assert "The gate rejects tiny. The run failed." in Path(path).read_text()
    assert "**The gate rejects tiny. The run failed.**" in newest_shown("nerbench-report")
    assert f"file://{path}" in newest_shown("nerbench-report")
    assert newest_shown("nerbench-report-page") == f"[the whole report](file://{path})"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("no page"), "ZeroDivisionError: no page"),
        (InputError("run 'x'", "has no scores", "choose among y"), "run 'x': has no scores"),
    ],
)
def test_a_report_that_cannot_be_written_does_not_fail_the_run(
    error: Exception,
    reason: str,
    config: Config,
    finished: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("nerbench.tasks.report.report.render", fail)
    elsewhere = fresh(config, tmp_path)
    summary = benchmark(elsewhere)
    assert "report" not in summary
    assert f"there is no report of this run: {reason}" in caplog.messages
    assert read_results(elsewhere.results, "runs")["outcome"].to_pylist() == ["ok"]
    assert not (Path(elsewhere.results) / "reports").exists()


def test_a_report_can_be_left_out_and_written_later(
    config: Config, finished: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = fresh(config, tmp_path, benchmark={"report": False})
    summary = benchmark(without)
    assert "report" not in summary
    target = tmp_path / "page.html"
    where = ["--results", without.results, "-o", str(target)]
    capsys.readouterr()
    assert status_of(["report", summary["run_id"], *where, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["report"], printed["runs"]) == (str(target), [summary["run_id"]])
    assert re.fullmatch(
        r"tiny has F1 \d+\.\d on own\. There is no earlier run to compare with\.", printed["verdict"]["headline"]
    )
    assert target.read_text().startswith(BEGINNING)
    assert status_of(["report", *where]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].startswith("  tiny on own: F1 ")
    assert printed.err == f"report: {target}\n"
    assert status_of(["report", "night", *where]) == 2
    assert f"choose among {summary['run_id']}" in capsys.readouterr().err
