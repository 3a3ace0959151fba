"""Comparison of two runs from stored predictions: verdicts, refusals, flips and environments."""

import json
from pathlib import Path
from typing import Any

import pytest
from scored_runs import score
from tagging import Sentences, counted, random_sentences

from nerbench.artifacts.errors import ArtifactNotFoundError, CorruptArtifactError, InputError
from nerbench.tasks.comparison import paired_differences
from nerbench.tasks.comparison.compare import Comparison, Query, compare
from nerbench.tasks.config import Config

DOCUMENTS = [n // 3 for n in range(66)]
GOLD, BASE = random_sentences(5, 66)
BETTER = [gold if n % 3 == 0 else base for n, (gold, base) in enumerate(zip(GOLD, BASE, strict=True))]
SLIGHTLY = [gold if n == 4 else base for n, (gold, base) in enumerate(zip(GOLD, BASE, strict=True))]
OTHER_GOLD = [gold if n % 2 else base for n, (gold, base) in enumerate(zip(GOLD, BASE, strict=True))]


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_differences, "PERMUTATIONS", 50)
    monkeypatch.setattr(paired_differences, "RESAMPLES", 100)


def scored(results: Path, night: int, predicted: Sentences, *, gold: Sentences = GOLD, **more: Any) -> None:
    """Results of a new version in every run, unless a version is given."""
    score(str(results), night, gold, predicted, **{"documents": DOCUMENTS, "version": night} | more)


def compared(results: Path, base: int = 1, candidate: int = 2, **asked: Any) -> Comparison:
    config = Config(store=str(results / "store"), results=str(results))
    return compare(f"tagger#night-{base}", f"tagger#night-{candidate}", config, Query(**asked))


def overall(predicted: Sentences) -> tuple[int, float]:
    counts = counted(GOLD, predicted, DOCUMENTS)["strict"]
    tp, n_pred, n_gold = (int(counts.column(name).sum()) for name in ("tp", "n_pred", "n_gold"))
    return tp, 2 * tp / (n_pred + n_gold)


@pytest.mark.parametrize(
    ("base", "candidate", "margin", "verdict"),
    [
        (BASE, BETTER, 0.5, "improvement"),
        (BETTER, BASE, 0.5, "regression"),
        (BETTER, BASE, 60, "pass"),
        (SLIGHTLY, BASE, 0, "undecided"),
        (SLIGHTLY, BASE, 5, "pass"),
        (BASE, BASE, 0, "pass"),
    ],
)
def test_a_verdict_is_that_of_overall_strict_f1(
    tmp_path: Path, base: Sentences, candidate: Sentences, margin: float, verdict: str
) -> None:
    scored(tmp_path, 1, base)
    scored(tmp_path, 2, candidate)
    found = compared(tmp_path, margin=margin)
    assert (found.verdict, found.frozen, found.reasons) == (verdict, False, ())
    (row,) = found.primary
    before, after = overall(base), overall(candidate)
    assert (row["base"], row["candidate"]) == pytest.approx((before[1], after[1]))
    assert (row["dataset"], row["gold"], row["confidence"]) == ("own", "own", 0.95)
    listed = found.to_json()["flips"]
    assert len(listed["gained"]) - len(listed["lost"]) == after[0] - before[0]
    assert {flip["sentence"] for flips in listed.values() for flip in flips} <= {
        n for n, pair in enumerate(zip(base, candidate, strict=True)) if pair[0] != pair[1]
    }


def test_the_json_has_the_promised_form(tmp_path: Path) -> None:
    scored(tmp_path, 1, BASE, torch="2.13")
    scored(tmp_path, 2, BETTER, torch="2.14")
    found = json.loads(json.dumps(compared(tmp_path).to_json(), allow_nan=False))
    assert found.keys() == {
        *("verdict", "comparable", "reasons", "deltas", "flips", "environment"),
        *("frozen", "base", "candidate", "compared", "costs", "suspect_gold"),
    }
    assert (found["verdict"], found["comparable"], found["reasons"]) == ("improvement", True, [])
    assert {
        *("level", "mode", "label", "average", "metric", "slice", "gold", "base", "candidate"),
        *("delta", "ci_low", "ci_high", "p_value", "p_adjusted"),
    } <= found["deltas"][0].keys()
    assert found["flips"].keys() == {"gained", "lost", "changed"}
    assert found["flips"]["gained"][0].keys() >= {"dataset", "gold_name", "sentence", "sentence_text", "gold", "base"}
    assert found["environment"] == {"torch": {"base": "2.13", "candidate": "2.14"}}
    assert found["base"]["run_id"] == "night-1"
    assert "not two recipes" in found["compared"]


# One model


@pytest.mark.parametrize(("now", "verdict"), [(BASE, "pass"), (SLIGHTLY, "regression"), (BETTER, "regression")])
def test_an_unchanged_model_may_not_flip_whatever_its_f1(tmp_path: Path, now: Sentences, verdict: str) -> None:
    scored(tmp_path, 1, BASE, version=1)
    scored(tmp_path, 2, now, version=1)
    found = compared(tmp_path, margin=99)
    assert (found.verdict, found.frozen) == (verdict, True)
    changed = ("one model with the same settings predicts differently on own, so any flip is real",)
    assert found.reasons == (() if verdict == "pass" else changed)
    assert found.compared.startswith("one model with the same settings")
    assert bool(found.flipped[0].flips) == (verdict == "regression")


def test_one_model_with_other_settings_is_compared_like_two(tmp_path: Path) -> None:
    scored(tmp_path, 1, BASE, version=1)
    scored(tmp_path, 2, BETTER, version=1, benchmark={"max_length": 64})
    found = compared(tmp_path)
    assert (found.verdict, found.frozen) == ("improvement", False)
    assert found.compared.startswith("one model with other settings")
    assert found.environment.keys() == {"max_length"}


def test_a_run_is_itself(tmp_path: Path) -> None:
    scored(tmp_path, 1, BASE)
    found = compared(tmp_path, 1, 1)
    assert (found.verdict, found.environment, found.flipped[0].flips) == ("pass", {}, ())


# Data sets and annotations


def test_the_worst_of_several_data_sets_decides(tmp_path: Path) -> None:
    for dataset, (base, candidate) in {"good": (BASE, BETTER), "own": (BETTER, BASE)}.items():
        scored(tmp_path, 1, base, dataset=dataset)
        scored(tmp_path, 2, candidate, dataset=dataset)
    found = compared(tmp_path)
    assert found.verdict == "regression"
    assert [row["dataset"] for row in found.primary] == ["good", "own"]
    assert [one.dataset for one in found.flipped] == ["good", "own"]
    assert compared(tmp_path, dataset="good").verdict == "improvement"


def test_identical_predictions_pass_however_few_the_entities(tmp_path: Path) -> None:
    for night, predicted in ((1, BASE), (2, BETTER)):
        scored(tmp_path, night, predicted)
        score(str(tmp_path), night, GOLD[:6], BASE[:6], dataset="small", version=night)
    found = compared(tmp_path)
    assert [row["ci_low"] is None for row in found.primary] == [False, True]
    assert found.verdict == "pass"


def test_confidence_widens_the_intervals(tmp_path: Path) -> None:
    scored(tmp_path, 1, BASE)
    scored(tmp_path, 2, BETTER)
    (narrow,), (wide,) = (compared(tmp_path, confidence=confidence).primary for confidence in (0.8, 0.99))
    assert wide["ci_low"] < narrow["ci_low"] < narrow["ci_high"] < wide["ci_high"]
    assert (narrow["confidence"], wide["confidence"]) == (0.8, 0.99)


def test_another_annotation_decides_on_request(tmp_path: Path) -> None:
    for night, predicted in ((1, BETTER), (2, BASE)):
        scored(tmp_path, night, predicted)
        scored(tmp_path, night, predicted, gold=OTHER_GOLD, gold_name="old")
    own, old = compared(tmp_path), compared(tmp_path, gold="old")
    assert {row["gold"] for row in own.deltas} == {row["gold"] for row in old.deltas} == {"own", "old"}
    assert ([row["gold"] for row in own.primary], [row["gold"] for row in old.primary]) == (["own"], ["old"])
    assert [one.gold for one in old.flipped] == ["old"]
    undecided = {"primary": 0, "verdict": 0}
    assert [row | undecided for row in own.deltas] == [row | undecided for row in old.deltas]


def test_an_annotation_of_one_run_is_left_out_with_the_reason(tmp_path: Path) -> None:
    scored(tmp_path, 1, BASE)
    scored(tmp_path, 2, BETTER)
    scored(tmp_path, 2, BETTER, gold=OTHER_GOLD, gold_name="old")
    found = compared(tmp_path)
    assert found.verdict == "improvement"
    assert found.reasons == ("own against old: base was not scored on this data set and annotation",)
    assert {row["gold"] for row in found.deltas} == {"own"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gold": OTHER_GOLD}, "own against own: the two were scored against different gold tags"),
        ({"documents": None}, "own against own: the two were scored on different words"),
        ({"dataset": "web"}, "own against own: candidate was not scored on this data set"),
    ],
)
def test_runs_that_are_not_comparable_have_no_verdict(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    scored(tmp_path, 1, BASE, torch="2.13")
    scored(tmp_path, 2, BETTER, torch="2.14", **changes)
    found = compared(tmp_path)
    assert (found.verdict, found.deltas, found.flipped) == (None, (), ())
    assert found.reasons[0].startswith(reason)
    printed = found.to_json()
    assert (printed["verdict"], printed["comparable"], printed["deltas"]) == (None, False, ())
    assert printed["flips"] == {"gained": [], "lost": [], "changed": []}
    assert printed["environment"] == {"torch": {"base": "2.13", "candidate": "2.14"}}


def test_slices_of_other_entities_are_reported(tmp_path: Path) -> None:
    scored(tmp_path, 1, BASE)
    scored(tmp_path, 2, BETTER)
    config = Config.model_validate(
        {"results": str(tmp_path), "store": str(tmp_path), "slices": [{"name": "unsure", "where": "score < 0.7"}]}
    )
    assert compare("tagger#night-1", "tagger#night-2", config, Query()).reasons == ()
    mine = config.model_copy(update={"slices": (config.slices[0].model_copy(update={"where": "pred_tag == 'B-PER'"}),)})
    found = compare("tagger#night-1", "tagger#night-2", mine, Query())
    assert found.reasons == ("own against own: left out, because these slices differ between the models: unsure",)
    assert found.verdict == "improvement"


def test_few_entities_are_undecided(tmp_path: Path) -> None:
    for night, predicted in ((1, BETTER), (2, BASE)):
        score(str(tmp_path), night, GOLD[:6], predicted[:6], version=night)
    found = compared(tmp_path)
    assert found.verdict == "undecided"
    assert found.primary[0]["ci_low"] is None


# What users get wrong


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"dataset": "web"}, r"--dataset: tagger#night-1 was not scored on web; choose among extra, own"),
        ({"gold": "new"}, r"--gold: neither was scored against new; choose among extra, old, own"),
        ({"dataset": "extra", "gold": "old"}, r"--gold: neither was scored against old; choose among extra"),
    ],
)
def test_invalid_choices(tmp_path: Path, asked: dict[str, str], message: str) -> None:
    for night in (1, 2):
        scored(tmp_path, night, BASE)
        scored(tmp_path, night, BASE, gold_name="old")
        scored(tmp_path, night, BASE, dataset="extra")
    with pytest.raises(InputError, match=message):
        compared(tmp_path, **asked)


def test_invalid_references(tmp_path: Path) -> None:
    scored(tmp_path, 1, BASE)
    with pytest.raises(InputError, match="no metrics of night-7; the last ones are of night-1"):
        compared(tmp_path, 1, 7)
    with pytest.raises(InputError, match="no metrics of night-7"):
        compared(tmp_path, 1, 7, dataset="own")
    config = Config(store=str(tmp_path / "store"), results=str(tmp_path))
    with pytest.raises(ArtifactNotFoundError, match="nobody"):
        compare("tagger", "nobody", config, Query(dataset="own"))


def test_damaged_predictions_are_reported(tmp_path: Path) -> None:
    scored(tmp_path, 1, BASE)
    damaged = Path(score(str(tmp_path), 2, GOLD, BETTER, documents=DOCUMENTS, version=2).uri)
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(CorruptArtifactError, match=damaged.stem):
        compared(tmp_path)
