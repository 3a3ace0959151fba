"""`nerbench compare` in process: its output and its exit statuses."""

import json
import re
import shutil
from os import terminal_size
from pathlib import Path
from typing import Any

import pytest
from scored_runs import score
from tagging import Sentences, random_sentences

from nerbench.flows.cli import status_of
from nerbench.tasks.comparison import paired_differences

DOCUMENTS = [n // 3 for n in range(66)]
GOLD, WORSE = random_sentences(5, 66)
BETTER = [gold if n % 3 == 0 else worse for n, (gold, worse) in enumerate(zip(GOLD, WORSE, strict=True))]
SLIGHTLY = [gold if n == 4 else worse for n, (gold, worse) in enumerate(zip(GOLD, WORSE, strict=True))]


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(paired_differences, "PERMUTATIONS", 50)
    monkeypatch.setattr(paired_differences, "RESAMPLES", 100)
    monkeypatch.chdir(tmp_path)


def scored(night: int, predicted: Sentences, **more: Any) -> None:
    score("results", night, GOLD, predicted, **{"documents": DOCUMENTS, "version": night} | more)


def compare(*options: str, base: str = "tagger#night-1", candidate: str = "tagger#night-2") -> int:
    return status_of(["compare", base, candidate, "--results", "results", "--store", "store", *options])


@pytest.mark.parametrize(
    ("base", "candidate", "options", "verdict", "status"),
    [
        (WORSE, WORSE, ["--margin", "0", "--strict"], "pass", 0),
        (BETTER, WORSE, [], "regression", 1),
        (SLIGHTLY, WORSE, ["--margin", "0"], "undecided", 0),
        (SLIGHTLY, WORSE, ["--margin", "0", "--strict"], "undecided", 1),
    ],
)
def test_the_exit_status_follows_from_the_verdict(
    base: Sentences,
    candidate: Sentences,
    options: list[str],
    verdict: str,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scored(1, base)
    scored(2, candidate)
    assert compare("--json", *options) == status
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["verdict"], found["comparable"], printed.err) == (verdict, True, "")


def test_output_shows_verdict_deltas_flips_and_environments(capsys: pytest.CaptureFixture[str]) -> None:
    scored(1, WORSE, torch="2.13")
    scored(2, BETTER, torch="2.14", code_commit="0123456789abcdef" * 2 + "01234567")
    assert compare("--flips", "2") == 0
    printed = capsys.readouterr().out
    assert re.search(r"^base +tagger@sha256:[0-9a-f]{12} of 2030-01-01\n +run night-1$", printed, re.M)
    assert re.search(r"^verdict +improvement$", printed, re.M)
    assert re.search(
        r"own: overall strict F1 rose [\d.]+ points \(95% CI \+[\d.]+ … \+[\d.]+\), p = 0\.0196; ", printed
    )
    assert "two artifacts, not two recipes" in printed
    rows = re.findall(r"^((?:F1|precision|recall)(?: \w+)*) +\d", printed, re.M)
    assert rows == ["F1", "precision", "recall", "F1 LOC", "F1 ORG", "F1 PER"]
    n_gained = int(re.search(r"^entities: (\d+) gained", printed, re.M)[1])  # type: ignore[index]
    assert len(re.findall(r"^  gained ", printed, re.M)) == 2
    assert f"  … and {n_gained - 2} more gained; see --flips or --json" in printed
    assert "  torch: 2.13 → 2.14\n" in printed
    assert " → 0123456789ab\n" in printed


def test_flips_are_shown_in_their_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    gold = [["O", "B-PER", "I-PER", "O"], ["B-LOC", "O"], ["O", "B-ORG", "I-ORG"]]
    before = [["O", "B-PER", "O", "O"], ["B-LOC", "O"], ["O", "B-LOC", "B-LOC"]]
    after = [["O", "B-PER", "I-PER", "O"], ["O", "O"], ["O", "B-PER", "B-LOC"]]
    for night, predicted in ((1, before), (2, after)):
        score("results", night, gold, predicted, version=night)
    assert compare() == 0
    printed = capsys.readouterr().out
    assert "  gained PER w1 w2: PER w1 → PER, sentence 0\n    w0 [w1 w2] w3\n" in printed
    assert "  lost LOC w4: LOC → nothing, sentence 1\n    [w4] w5\n" in printed
    assert "  changed w7 w8 (gold ORG): LOC w7, LOC w8 → PER w7, LOC w8, sentence 2\n    w6 [w7 w8]\n" in printed
    assert "entities: 1 gained, 1 lost, 1 changed" in printed


def test_without_text_flips_have_positions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow as pa
    import scored_runs

    whole = scored_runs.predictions_table

    def without(*arguments: Any) -> pa.Table:
        table = whole(*arguments)
        return table.set_column(table.column_names.index("text"), "text", pa.nulls(len(table), pa.string()))

    monkeypatch.setattr(scored_runs, "predictions_table", without)
    gold = [["O", "B-PER", "I-PER", "O"]]
    score("results", 1, gold, [["O", "B-PER", "O", "O"]])
    score("results", 2, gold, gold, version=2)
    assert compare() == 0
    assert "  gained PER 1:3: PER 1:2 → PER, sentence 0\n" in capsys.readouterr().out


@pytest.mark.parametrize(("changed", "status"), [(False, 0), (True, 1)])
def test_an_unchanged_model(changed: bool, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    scored(1, WORSE, version=1)
    scored(2, BETTER if changed else WORSE, version=1)
    assert compare() == status
    printed = capsys.readouterr().out
    assert "one model with the same settings in both runs: every flip is a real change, not sampling noise" in printed
    assert ("one model with the same settings predicts differently on own, so any flip is real" in printed) == changed
    assert "recipes" not in printed


def test_the_tables_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    scored(1, BETTER, torch="2.13")
    scored(2, WORSE, torch="2.14")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: terminal_size((80, 24)))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert compare() == 1
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in capsys.readouterr().out.splitlines()]
    assert max(map(len, lines)) <= 80
    assert sum(bool(re.match(r"(F1|precision|recall)\b.* \d+\.\d\d .* 0\.\d{4} +\d+$", line)) for line in lines) == 6


def test_runs_that_are_not_comparable_end_with_2_and_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    scored(1, WORSE)
    scored(2, BETTER, documents=None)
    assert compare() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "tagger#night-1 and tagger#night-2: are not comparable: own against own: the two were scored" in printed.err
    assert compare("--json") == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["comparable"], found["deltas"]) == (None, False, [])
    assert "on different words" in found["reasons"][0]


def test_undefined_scores_are_not_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = [["O", "O"]]
    score("results", 1, nothing, nothing)
    score("results", 2, nothing, [["B-PER", "O"]], version=2)
    assert compare() == 0
    assert "overall strict F1 has no difference (neither predicted nor in the gold)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"base": "nobody"}, ("'nobody'", "store", "artifacts ls")),
        ({"base": "tagger#nosuchrun"}, ("no metrics of nosuchrun", "the last ones are of night-2, night-1")),
        ({"candidate": "tagger#2020-01-01"}, ("no metrics of 2020-01-01", "2030-01-02, 2030-01-01")),
        ({"candidate": "tagger#"}, ("names no model or no run", "REF#RUN_ID")),
        ({"base": "*@latest"}, ("store",)),
        ({"arguments": ["--dataset", "web"]}, ("--dataset", "was not scored on web", "choose among own")),
        ({"arguments": ["--gold", "new"]}, ("--gold", "new", "choose among own")),
        ({"arguments": ["--margin", "-1"]}, ("--margin", "equal to 0")),
        ({"arguments": ["--confidence", "1"]}, ("--confidence", "equal to 0.999")),
        ({"arguments": ["--flips", "-2"]}, ("--flips", "equal to 0")),
        ({"arguments": ["--flips", "many"]}, ("--flips", "valid integer")),
    ],
)
def test_errors_of_users(options: dict[str, Any], says: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    scored(1, WORSE)
    scored(2, BETTER)
    arguments = options.pop("arguments", ())
    assert compare(*arguments, **options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1, printed.err
    for part in says:
        assert part in printed.err


def test_missing_predictions_end_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    scored(1, WORSE)
    Path(score("results", 2, GOLD, BETTER, documents=DOCUMENTS, version=2).uri.removeprefix("file://")).unlink()
    assert compare("--json") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "are gone; run `nerbench benchmark tagger` again" in printed.err
