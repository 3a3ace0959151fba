"""The file of a report, and its summary in Prefect."""

import hashlib
from pathlib import Path

import pytest
from report_site import run_of
from small_corpus import write_corpus

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import Config
from nerbench.tasks.report.page import ASSETS, PLOTLY
from nerbench.tasks.report.prefect_page import markdown, publish
from nerbench.tasks.report.report import build, check_target, file_name, save_report


def test_a_report_may_be_overwritten_by_a_report_alone(nights: str, tmp_path: Path) -> None:
    report = build(nights)
    target = tmp_path / "new" / "report.html"
    save_report(report, target)
    assert target.read_text() == report.html
    save_report(report, target)
    target.write_text("<!doctype html><p>mine")
    with pytest.raises(InputError, match=r"exists already and is not a report; .*--force"):
        save_report(report, target)
    save_report(report, target, force=True)
    assert target.read_text() == report.html


@pytest.mark.parametrize(("name", "problem"), [("report.pdf", "does not end in .html"), (".", "is a folder")])
def test_a_wrong_target_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        check_target(tmp_path / name, force=True)


def test_the_report_of_a_run_is_in_the_results_folder(nights: str, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "own.txt", 3)
    config = Config.model_validate({"dataset": {"name": "own", "files": {"train": corpus, "test": corpus}}})
    announced = publish(run_of(nights, 2), config)
    path = Path(nights) / "reports" / "night-2.html"
    assert (announced.uri, announced.link) == (str(path), f"file://{path}")
    assert path.read_text().startswith("<!doctype html>")
    assert "<h3>Shared between splits</h3>" in path.read_text()
    assert publish(run_of(nights, 2), Config()).uri == announced.uri
    assert "<h3>Shared between splits</h3>" not in path.read_text()
    assert len(list(path.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("run_id", "name"),
    [
        (
            "benchmark-nightly@2030-01-02T02:00:00.000000+00:00",
            "benchmark-nightly-2030-01-02T02-00-00.000000-00-00.html",
        ),
        ("../../etc/passwd", "..-..-etc-passwd.html"),
    ],
)
def test_a_file_name_is_valid_on_every_system(run_id: str, name: str) -> None:
    assert file_name(run_id) == name


def test_markdown_has_the_same_content_without_markup(nights: str) -> None:
    report = build(nights)
    said = markdown(report, "file:///a/b.html")
    lines = said.splitlines()
    assert lines[0] == r"**The gate rejects \<b\>worse\</b\>. The run failed.**"
    assert r"- **good** on own: no change" in lines
    assert "<b>" not in said
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(report.board.first)
    assert {line.replace(r"\|", "").count("|") for line in table} == {8}
    assert lines[-1] == "[The whole report](<file:///a/b.html>)"


def test_plotly_is_the_published_file_with_its_licence() -> None:
    script = (ASSETS / PLOTLY).read_bytes()
    assert hashlib.sha256(script).hexdigest() == "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"
    assert b"v4.1.1" in script[:200]
    assert "MIT" in (ASSETS / "plotly-basic.LICENSE").read_text()
