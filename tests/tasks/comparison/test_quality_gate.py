"""The rules of the gate: passing, failing and missing scores, and promotion of a model to the baseline."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_records import artifact_ref
from pydantic import ValidationError
from scored_runs import score
from tagging import Sentences, counted, random_sentences

from nerbench.artifacts.errors import CorruptArtifactError, InputError, RunFailedError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.store import Store
from nerbench.tasks.comparison import paired_differences, quality_gate
from nerbench.tasks.comparison.quality_gate import (
    absent_models,
    by_annotation,
    decide,
    describe,
    find_baseline,
    first_promotion,
    in_words,
    measure,
    measure_stored,
    missing,
    promotion,
    refuse,
)
from nerbench.tasks.config import Config, GateConfig, GateRule
from nerbench.tasks.config.deprecated_keys import warn_deprecated
from nerbench.tasks.results.query import is_headline
from nerbench.tasks.scoring.counts import Counts
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted

DOCUMENTS = [n // 3 for n in range(150)]
GOLD, BASE = random_sentences(5, 150)
BETTER = [gold if n % 3 == 0 else base for n, (gold, base) in enumerate(zip(GOLD, BASE, strict=True))]
SLIGHTLY = [gold if n == 4 else base for n, (gold, base) in enumerate(zip(GOLD, BASE, strict=True))]


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_differences, "PERMUTATIONS", 50)
    monkeypatch.setattr(paired_differences, "RESAMPLES", 100)


def strict(predicted: Sentences) -> list[Counts]:
    one = counted(GOLD, predicted, DOCUMENTS)["strict"]
    return [one, replace(one, slice="unseen")]


def judged(base: Sentences, candidate: Sentences, rule: dict[str, Any] | None = None, **gate: Any) -> Row:
    asked = GateConfig(rules=(GateRule(**(rule or {})),), **gate)
    (row,) = judge(asked, strict(base), strict(candidate))
    return row


def judge(gate: GateConfig, base: Sequence[Counts], candidate: Sequence[Counts]) -> list[Row]:
    return decide(gate, measure(gate, dict(enumerate(gate.rules, 1)), base, candidate, seed=1))


def judge_stored(config: Config, candidate: Predicted, base: Predicted | None) -> list[Row]:
    return decide(config.gate or GateConfig(), measure_stored(config, candidate, base))


@pytest.mark.parametrize(
    ("base", "candidate", "gate", "verdict", "failed"),
    [
        (BASE, BETTER, {}, "improvement", False),
        (BASE, BASE, {"margin": 0}, "pass", False),
        (BETTER, BASE, {}, "regression", True),
        (BETTER, BASE, {"margin": 60}, "pass", False),
        (SLIGHTLY, BASE, {"margin": 0}, "undecided", True),
        (SLIGHTLY, BASE, {"margin": 0, "on_undecided": "warn"}, "undecided", False),
        (SLIGHTLY, BASE, {"margin": 0.2}, "undecided", True),
        (SLIGHTLY, BASE, {"margin": 5, "on_undecided": "fail"}, "pass", False),
    ],
)
def test_a_verdict_follows_from_interval_and_margin(
    base: Sentences, candidate: Sentences, gate: dict[str, Any], verdict: str, failed: bool
) -> None:
    row = judged(base, candidate, **gate)
    assert (row["verdict"], row["failed"]) == (verdict, failed)
    assert row["ci_low"] <= row["delta"] <= row["ci_high"]
    assert row["margin"] == gate.get("margin", 0.5) / 100


def test_each_rule_has_margin_label_metric_and_slice() -> None:
    rule = {"label": "PER", "metric": "recall", "slice": "unseen", "margin": 99}
    row = judged(BETTER, BASE, rule, margin=0)
    assert (row["label"], row["metric"], row["slice"], row["average"]) == ("PER", "recall", "unseen", "")
    assert (row["verdict"], row["margin"]) == ("pass", 0.99)
    tp, n_gold = (strict(BASE)[0].column(name).sum(0) for name in ("tp", "n_gold"))
    per = strict(BASE)[0].labels.index("PER")
    assert row["candidate"] == pytest.approx(tp[per] / n_gold[per])
    assert row["support"] == n_gold[per]


def test_confidence_widens_the_interval() -> None:
    narrow, wide = (judged(BASE, BETTER, confidence=confidence) for confidence in (0.8, 0.99))
    assert wide["ci_low"] < narrow["ci_low"] < narrow["ci_high"] < wide["ci_high"]


@pytest.mark.parametrize("rule", [{"label": "EVENT"}, {"slice": "night"}, {"mode": "exact"}])
def test_missing_scores_fail(rule: dict[str, str]) -> None:
    row = judged(BASE, BETTER, rule)
    assert (row["verdict"], row["failed"], row["delta"]) == ("missing", True, None)
    assert "no common number" in row["reason"]


def test_an_undefined_number_fails() -> None:
    nothing = [["O"] * len(tags) for tags in GOLD]
    row = judged(BASE, nothing, {"metric": "precision", "label": "PER"})
    assert (row["verdict"], row["failed"], row["candidate"]) == ("missing", True, None)
    assert row["base"] > 0
    assert row["reason"] == "undefined: nothing predicted"


def test_a_few_entities_decide_by_a_test() -> None:
    """A few sentences and a correct model, of which 2 or all predictions are damaged."""
    right = GOLD[:14]
    damaged = [["O"] * len(tags) if n < 2 else tags for n, tags in enumerate(right)]
    destroyed = [["O"] * len(tags) for tags in right]
    for candidate, verdict in ((damaged, "undecided"), (destroyed, "regression")):
        pair = [[counted(right, one)["strict"]] for one in (right, candidate)]
        for action, failed in ((None, True), ("fail", True), ("warn", verdict == "regression")):
            (row,) = judge(GateConfig(on_undecided=action), *pair)
            assert (row["verdict"], row["failed"], row["ci_low"]) == (verdict, failed, None)
            assert (row["resampling_unit"], "fewer than" in row["reason"]) == ("sentence", True)


def test_an_undecided_rule_fails_if_the_drop_exceeds_the_margin() -> None:
    known = {"kind": "rule", "p_value": 0.01, "margin": 0.005, "verdict": None}
    for delta, failed in ((-0.0040, False), (-0.0060, True)):
        found = {"delta": delta, "ci_low": -0.0075, "ci_high": 0.0005}
        (row,) = decide(GateConfig(), [known | found])
        assert (row["verdict"], row["failed"]) == ("undecided", failed)
    (row,) = decide(GateConfig(), [known | {"delta": -0.0040, "ci_low": -0.0075, "ci_high": -0.0005}])
    assert (row["verdict"], row["failed"]) == ("undecided", False)


def test_several_rules_are_corrected_together() -> None:
    def row(p: float) -> Row:
        known = {"kind": "rule", "margin": 0.005, "verdict": None, "p_value": p}
        return known | {"delta": -0.02, "ci_low": -0.03, "ci_high": -0.001}

    assert [one["verdict"] for one in decide(GateConfig(), [row(0.03)])] == ["regression"]
    three = decide(GateConfig(), [row(0.03), row(0.01), row(0.04)])
    assert [one["p_adjusted"] for one in three] == pytest.approx([0.06, 0.03, 0.06])
    assert [one["verdict"] for one in three] == ["undecided", "regression", "undecided"]


def test_the_deprecated_key_strict_means_fail_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    warn_deprecated.cache_clear()
    gate = GateConfig.model_validate({"strict": True})
    assert gate.on_undecided == "fail"
    assert GateConfig.model_validate(gate.model_dump()) == GateConfig.model_validate({"strict": True}) == gate
    assert [record.getMessage() for record in caplog.records] == ["gate.strict is deprecated: write on_undecided: fail"]
    assert GateConfig.model_validate({"strict": False}).on_undecided is None
    with pytest.raises(ValidationError, match="contradict each other"):
        GateConfig.model_validate({"strict": True, "on_undecided": "warn"})
    with pytest.raises(ValidationError, match="strict is maybe"):
        GateConfig.model_validate({"strict": "maybe"})


def test_rules_that_ask_the_impossible_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"slices are scored in the modes strict, conlleval, discard only"):
        GateRule(slice="unseen", mode="partial")
    with pytest.raises(ValidationError, match="the mode span has no types; give the label overall instead of PER"):
        GateRule(mode="span", label="PER")
    with pytest.raises(ValidationError, match="means several models"):
        GateConfig(baseline="*@champion")
    with pytest.raises(ValidationError, match="promote moves an alias"):
        GateConfig(baseline="tagger@champion", promote=True)


# Stored predictions


def config_of(results: Path, gate: dict[str, Any], **more: Any) -> Config:
    dataset = {"name": "own", "files": {"test": "nowhere"}}
    data = {"store": str(results / "store"), "results": str(results), "datasets": [dataset], "gate": gate}
    return Config.model_validate(data | more)


def scored(results: Path, night: int, predicted: Sentences, version: int, **more: Any) -> Any:
    return score(str(results), night, GOLD, predicted, documents=DOCUMENTS, version=version, **more)


def test_stored_predictions_are_compared(tmp_path: Path) -> None:
    config = config_of(tmp_path, {})
    base, candidate = scored(tmp_path, 1, BETTER, 1), scored(tmp_path, 2, BASE, 2)
    assert config.gate is not None
    (row,) = judge_stored(config, candidate, base)
    assert (row["verdict"], row["failed"]) == ("regression", True)
    assert (row["artifact_id"], row["baseline_artifact_id"]) == (candidate.artifact_id, base.artifact_id)
    assert (row["model"], row["dataset"], row["gold"], row["split"]) == ("tagger", "own", "own", "test")
    tp = [one.column("tp").sum() for one in (strict(BETTER)[0], strict(BASE)[0])]
    assert row["gained"] - row["lost"] == tp[1] - tp[0] < 0
    with pytest.raises(RunFailedError) as failed:
        refuse([row])
    words = f"{100 * row['ci_low']:+.2f} … {100 * row['ci_high']:+.2f}"
    assert str(failed.value) == (
        f"tagger on own: regression: overall strict F1 fell {-100 * row['delta']:.2f} points (95% CI {words}), "
        "margin 0.50 points"
    )


def test_identical_predictions_pass_however_few(tmp_path: Path) -> None:
    gold, predicted = GOLD[:4], BASE[:4]
    base, candidate = (score(str(tmp_path), n, gold, predicted, version=n) for n in (1, 2))
    config = config_of(tmp_path, {"on_undecided": "fail", "rules": [{}, {"label": "EVENT"}]})
    same, absent = judge_stored(config, candidate, base)
    assert (same["verdict"], same["failed"], same["ci_low"], same["lost"]) == ("pass", False, None, 0)
    assert (absent["verdict"], absent["failed"]) == ("missing", True)


def test_a_baseline_without_scores_fails(tmp_path: Path) -> None:
    (row,) = judge_stored(config_of(tmp_path, {"promote": True}), scored(tmp_path, 1, BASE, 1), None)
    assert (row["verdict"], row["failed"], row["reason"]) == ("missing", True, "the baseline was not scored")


def test_a_first_model_only_needs_scores(tmp_path: Path) -> None:
    config, one = config_of(tmp_path, {"promote": True}), scored(tmp_path, 1, BASE, 1)
    first, found = artifact_ref("tagger", artifact_id=one.artifact_id), by_annotation([one])
    assert quality_gate.judge(config, first, found[one.artifact_id], None) == []
    for predicted in ({}, found["b" * 64]):
        (row,) = quality_gate.judge(config, first, predicted, None)
        assert (row["verdict"], row["reason"]) == ("missing", "there are no scores to be judged")


def test_damaged_predictions_are_reported(tmp_path: Path) -> None:
    base, candidate = scored(tmp_path, 1, BETTER, 1), scored(tmp_path, 2, BASE, 2)
    Path(base.uri).write_bytes(Path(base.uri).read_bytes()[:-9])
    with pytest.raises(CorruptArtifactError):
        judge_stored(config_of(tmp_path, {}), candidate, base)


def test_rules_are_about_data_sets_and_annotations(tmp_path: Path) -> None:
    files = {"test": "nowhere"}
    rules = [{}, {"gold": "old"}, {"dataset": "web", "label": "PER"}, {"dataset": "web", "gold": "old"}]
    config = config_of(
        tmp_path,
        {"rules": rules},
        datasets=[{"name": "own", "files": files}, {"name": "web", "files": files}],
        golds=[{"name": "old", "dataset": "own", "file": "nowhere"}],
    )
    artifact = artifact_ref("tagger")
    every = [(row["dataset"], row["gold"], row["label"]) for row in missing(config, artifact, [])]
    assert every == [
        ("own", "own", "overall"),
        ("web", "web", "overall"),
        ("own", "old", "overall"),
        ("web", "web", "PER"),
        ("web", "old", "overall"),
    ]
    rest = decide(GateConfig(), missing(config, artifact, [("own", "own", None), ("own", "old", None)]))
    assert [(row["dataset"], row["label"]) for row in rest] == [("web", "overall"), ("web", "PER"), ("web", "overall")]
    assert {(row["verdict"], row["failed"], row["split"]) for row in rest} == {("missing", True, "test")}
    base, candidate = (scored(tmp_path, n, BASE, n, gold_name="old") for n in (1, 2))
    assert [row["gold"] for row in judge_stored(config, candidate, base)] == ["old"]


def test_missing_models_fail(tmp_path: Path) -> None:
    models = [{"name": "one", "base": "b"}, {"name": "two", "base": "b", "seeds": [0, 1]}]
    config = config_of(tmp_path, {}, models=models)
    assert absent_models(config, ["one", "two-seed0", "pushed"]) == ["two-seed1"]
    asked = config.model_copy(update={"benchmark": config.benchmark.model_copy(update={"models": ("one",)})})
    assert absent_models(asked, ["one"]) == []


# Baselines and promotion


@pytest.fixture
def published(tmp_path: Path) -> tuple[str, ArtifactRef]:
    folder, store = tmp_path / "model", str(tmp_path / "store")
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    return store, Store(store).publish(folder, "tagger", Provenance())


def test_the_baseline_is_the_artifact_of_the_alias(published: tuple[str, ArtifactRef]) -> None:
    store, artifact = published
    Store(store).set_alias("tagger", "champion", artifact.artifact_id)
    found = find_baseline(GateConfig(), "tagger", store)
    assert found is not None
    assert found.artifact_id == artifact.artifact_id


def test_without_a_baseline_the_error_has_a_remedy(published: tuple[str, ArtifactRef]) -> None:
    store, artifact = published
    with pytest.raises(
        RunFailedError,
        match=r"there is no tagger@champion .* `nerbench artifacts alias tagger champion`, or gate.promote: true",
    ):
        find_baseline(GateConfig(), artifact.name, store)
    assert find_baseline(GateConfig(promote=True), artifact.name, store) is None


def test_one_baseline_for_all(published: tuple[str, ArtifactRef]) -> None:
    store, artifact = published
    found = find_baseline(GateConfig(baseline="tagger@latest"), "other", store)
    assert found is not None
    assert found.artifact_id == artifact.artifact_id
    with pytest.raises(InputError, match="nobody"):
        find_baseline(GateConfig(baseline="nobody@latest"), artifact.name, store)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["improvement"], True),
        (["improvement", "pass"], True),
        (["pass"], False),
        (["improvement", "undecided"], False),
        (["improvement", "regression"], False),
        (["improvement", "missing"], False),
        ([], False),
    ],
)
def test_definition_of_an_improvement(verdicts: Sequence[str], expected: bool) -> None:
    rows = promotion(Config(), GateConfig(), [{"verdict": one, "reason": None} for one in verdicts])
    assert [row["promoted"] for row in rows] == [expected] * len(verdicts)


@pytest.mark.parametrize("on_reported", [False, True])
def test_a_promotion_records_its_split(tmp_path: Path, on_reported: bool) -> None:
    gate = {"promote": True, "promote_on_reported": on_reported, "promote_on": "test" if on_reported else "validation"}
    config = config_of(tmp_path, gate)
    assert config.gate is not None
    row = judged(BASE, BETTER) | {"model": "tagger", "baseline": "champion", "dataset": "own", "gold": "own"}
    (found,) = promotion(config, config.gate, [row])
    assert (found["kind"], found["promoted"], found["failed"]) == ("promotion", True, False)
    assert found["reason"] == ("decided on the reported split" if on_reported else None)
    assert describe(found).startswith("tagger on own: became champion: overall strict F1 rose")
    assert "did not become champion" in describe(found | {"promoted": False})


def test_the_first_promotion_is_reported() -> None:
    assert describe(first_promotion(GateConfig(), artifact_ref("tagger"))) == (
        "tagger: became champion: the first one with this alias"
    )


def test_promotion_by_the_reported_split_must_be_allowed(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="promote_on is test, which is the reported split"):
        config_of(tmp_path, {"promote": True, "promote_on": "test"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "overall strict F1 fell 1.90 points (95% CI -3.10 … -0.80)"),
        ({"delta": 0.0123, "ci_low": None}, "overall strict F1 rose 1.23 points"),
        ({"delta": 0.0, "ci_low": 0.0, "ci_high": 0.0}, "overall strict F1 did not move (95% CI +0.00 … +0.00)"),
        ({"delta": None}, "overall strict F1 has no difference"),
        (
            {"slice": "unseen", "label": "PER", "metric": "recall"},
            "PER strict recall (unseen) fell 1.90 points (95% CI -3.10 … -0.80)",
        ),
    ],
)
def test_rows_in_words(changes: Row, expected: str) -> None:
    row = {"label": "overall", "mode": "strict", "metric": "f1", "slice": "all", "confidence": 0.95}
    assert in_words(row | {"delta": -0.019, "ci_low": -0.031, "ci_high": -0.008} | changes) == expected


def test_a_rule_about_perturbed_words_judges_predictions_for_these_only(tmp_path: Path) -> None:
    section = {"robustness": {"perturbations": ["lower", "ocr"]}}
    config = config_of(tmp_path, {"rules": [{}, {"perturbation": "lower"}, {"perturbation": "ocr"}]}, **section)
    assert config.gate is not None
    base, candidate = scored(tmp_path, 1, BETTER, 1), scored(tmp_path, 2, BASE, 2)
    lower = [one.model_copy(update={"perturbation": "lower"}) for one in (base, candidate)]
    (row,) = judge_stored(config, lower[1], lower[0])
    assert (row["rule"], row["perturbation"], row["verdict"]) == (2, "lower", "regression")
    assert describe(row).startswith("tagger on own (lower): regression: overall strict F1 fell")
    assert not is_headline(row)
    (clean,) = judge_stored(config, candidate, base)
    assert (clean["rule"], clean["perturbation"], is_headline(clean)) == (1, None, True)
    judged = [("own", "own", None), ("own", "own", "lower")]
    (absent,) = missing(config, artifact_ref("tagger"), judged)
    assert (absent["rule"], absent["perturbation"], absent["verdict"]) == (3, "ocr", "missing")
