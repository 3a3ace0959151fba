"""The page needs no other file, runs only its own scripts, and shows the values of the tables."""

import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from reading import Page, plain
from report_site import EVIL, EVIL_TYPE, REPAIRED, corpus

from nerbench.artifacts.tables.tables import read_results, write_table
from nerbench.tasks.report.formats import script_hash
from nerbench.tasks.report.model_scores import StoredTable, calibration, confusion, details, read_model_scores
from nerbench.tasks.report.page import BEGINNING, PLOTLY, _asset
from nerbench.tasks.report.report import Report, build


@pytest.fixture(scope="module")
def report(nights: str) -> Report:
    return build(nights)


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(report.html)


def test_the_page_needs_no_other_file(report: Report, page: Page) -> None:
    assert report.html.startswith(BEGINNING)
    loaded = [(tag, attributes) for tag, attributes in page.tags if {"src", "srcset", "data"} & set(attributes)]
    assert loaded == []
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "base", "img"} == set()
    assert all(str(one["href"]).startswith("#") for one in page.named("a"))
    style = report.html[report.html.index("<style>") : report.html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert len(report.html) < 1_500_000


def test_only_its_own_scripts_may_run(page: Page) -> None:
    (policy,) = [one["content"] for one in page.named("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    allowed = re.search("script-src ([^;]*);", policy)
    assert allowed is not None
    running = [one for one in page.named("script") if one.get("type") != "text/plain"]
    assert running == [{}]
    assert allowed[1].split() == [script_hash(page.scripts[None]), script_hash(_asset(PLOTLY))]
    assert not [one for _, attributes in page.tags for one in attributes if one.startswith("on")]


def test_hostile_names_are_text(report: Report, page: Page) -> None:
    assert "<b>worse</b>" in page.said
    assert EVIL_TYPE in page.said
    assert page.named("b") == [one for one in page.named("b") if not one]
    assert "alert(1)" not in report.html
    sentences = page.block("errors")["sentences"]
    assert all(any(evil in text for text in sentences) for evil in EVIL)
    assert {one["model"] for one in page.block("entries")} == {"good", "<b>worse</b>"}
    assert set(page.scripts) == {None, *(f"block-{name}" for name in BLOCKS)}


def precision(found: dict[str, Any]) -> float:
    value: float = found["labels"]["overall"]["precision"]["v"]
    return value


BLOCKS = ("entries", "changes", "slices", "details", "costs", "history", "errors", "flips", "plotly")


def test_secrets_folders_and_hosts_stay_out(nights: str, report: Report, page: Page) -> None:
    assert "secret-host" not in report.html
    assert str(Path(nights).parent) not in report.html
    assert "host-" in page.said


def test_the_first_screen_shows_the_verdict_and_the_numbers(nights: str, page: Page) -> None:
    said = plain(page.said)
    assert "The gate rejects <b>worse</b>. The run failed." in said
    assert re.search(r"<b>worse</b> on own : PER recall fell \d+\.\d points \(95 % CI \d+\.\d…\d+\.\d\)", said)
    assert "good on own : no change" in said
    filters = [("run_id", "=", "night-2"), ("model", "=", "good"), ("gold", "=", "own"), ("slice", "=", "all")]
    filters += [("mode", "=", "strict"), ("label", "=", "overall"), ("average", "=", "micro"), ("metric", "=", "f1")]
    (row,) = read_results(nights, "metrics", filters=filters).to_pylist()
    assert f"{100 * row['value']:.2f} {100 * row['ci_low']:.1f}–{100 * row['ci_high']:.1f}" in said


def test_headings_and_tables_can_be_found(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.named("main")) == len(page.named("header")) == 1
    assert len(page.named("table")) == len(page.named("caption"))
    assert all(one.get("scope") for one in page.named("th"))
    targets = {one.get("id") for _, one in page.tags}
    assert {str(one["href"])[1:] for one in page.named("a")} <= targets
    labelled = {one["id"] for one in page.named("select")}
    assert len(labelled) == len(page.named("select"))
    assert {one.get("aria-sort") for one in page.named("th")} == {"none", None}


def test_the_details_are_those_of_the_tables(nights: str, report: Report, page: Page) -> None:
    entries = read_model_scores(nights, report.runs)
    assert [(row.model, row.gold) for row in report.board.rows] == [(one.name, one.about["gold"]) for one in entries]
    blocks = page.block("details")
    for entry, found in zip(entries, blocks, strict=True):
        tables = (StoredTable(nights, "confusion"), StoredTable(nights, "calibration"))
        expected: dict[str, Any] = details(entry) | {"confusion": confusion(tables[0], entry)}
        assert {name: found[name] for name in expected} == expected
        assert found["labels"]["overall"]["f1"]["v"] == pytest.approx(entry.number(), abs=1e-5)
        assert sum(one["n"] for one in found["confusion"] if one["pred"] != "O") == found["labels"]["overall"]["n_pred"]
        assert set(found["calibration"]) == set(calibration(tables[1], entry))
        n_pred = found["labels"]["overall"]["n_pred"]
        assert sum(n for _, _, n in found["calibration"]["overall"]["bins"]) in {0, n_pred}  # none where there are few
        assert found["calibration"]["overall"]["curve"][-1][:2] == [1, pytest.approx(1 - precision(found), abs=1e-4)]
        assert {"length_1", "duplicated", "first_sentence", "unseen"} <= set(found["slices"])
        assert found["slices"]["unseen"]["f1"]["why"]


def test_speed_and_sweeps_are_distinguished(report: Report, page: Page) -> None:
    costs = page.block("costs")
    assert {(one["model"], len(one["samples"]), one["total"]) for one in costs["latencies"]} == {
        ("good", 50, 50),
        ("<b>worse</b>", 50, 50),
    }
    assert {(row["batch_size"], row["sequence_length"]) for row in costs["sweep"]} == {
        (batch, length) for batch in (1, 2, 4, 8) for length in (32, 128)
    }
    row = report.board.rows[0]
    assert row.cost is not None
    assert (row.cost["p50_s"], row.cost["peak_bytes"]) == (0.002, 2 * 10**7)
    assert {(row.model, row.on_front) for row in report.board.rows if row.dataset == row.gold} == {
        ("good", True),
        ("<b>worse</b>", True),
        ("<b>worse</b>", None),
    }


def test_text_that_is_dropped_is_not_in_the_page(nights: str, page: Page, tmp_path: Path) -> None:
    """Also if an earlier run kept text in the tables."""
    results = str(shutil.copytree(nights, tmp_path / "copy"))
    runs = read_results(results, "runs").to_pylist()
    assert '"text":"keep"' in runs[1]["configuration"]
    for path in Path(results).glob("runs/*/date=2030-01-02/*.parquet"):
        path.unlink()
    changed = runs[1] | {"configuration": runs[1]["configuration"].replace('"text":"keep"', '"text":"drop"')}
    write_table(results, "runs", [changed], date="2030-01-02", key="again")
    dropped = Page(build(results).html)
    assert page.block("errors")["sentences"]
    assert dropped.block("errors")["sentences"] == dropped.block("flips")["sentences"] == []
    assert "the page shows positions instead" in dropped.said


def test_repaired_tags_are_reported_for_their_annotation_only(page: Page) -> None:
    words = sum(map(len, corpus()[0]))
    told = f"{REPAIRED} of {words} tags repaired (I- without B-, read as B-)."
    assert f"Corpus own against second, test split : {told} Provenance" in page.said


def test_given_inspections_are_tables(nights: str, page: Page) -> None:
    assert "Labels" not in page.said.partition("Corpus own")[2]
    given = {"Labels <of> own": [{"label": EVIL_TYPE, "entities": 1234}], "Overlap": []}
    found = Page(build(nights, inspection=given).html)
    assert "corpus" in {one.get("id") for one in found.named("section")}
    assert f"Labels <of> own Labels <of> own label entities {EVIL_TYPE} 1,234 Overlap None." in found.said
