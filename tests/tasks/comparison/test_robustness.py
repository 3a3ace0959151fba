"""What a model loses on perturbed words, by counting entities one by one; and Holm over the perturbations."""

from pathlib import Path

import pytest
from evaluation_records import artifact_ref, evaluation_record
from scored_runs import score
from tagging import Sentences, random_sentences, textbook

from nerbench.tasks.comparison import paired_differences
from nerbench.tasks.comparison.robustness import measure_drops
from nerbench.tasks.config import Config, DatasetConfig, Perturbation
from nerbench.tasks.config.schema_robustness import PerturbationName
from nerbench.tasks.data.corpus_refs import CorpusRef
from nerbench.tasks.inference.evaluation_cache import Evaluated
from nerbench.tasks.scoring.stored_predictions import Predicted

GOLD = [sentence for seed in range(2) for sentence in random_sentences(seed, 60)[0]]
DOCUMENTS = [n // 2 for n in range(len(GOLD))]
NAMES: tuple[PerturbationName, ...] = ("lower", "ocr", "accents")


@pytest.fixture(autouse=True)
def few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_differences, "PERMUTATIONS", 200)
    monkeypatch.setattr(paired_differences, "RESAMPLES", 100)


def without(share: int) -> Sentences:
    """Predictions that miss every entity of one in `share` sentences; all of the gold where it is 0."""
    return [["O"] * len(one) if share and n % share == 0 else strict(one) for n, one in enumerate(GOLD)]


def strict(tags: list[str]) -> list[str]:
    """Without what `strict` does not decode."""
    found = ["O"] * len(tags)
    for one in textbook([tags], "strict"):
        found[one.start : one.end] = tags[one.start : one.end]
    return found


def f1(predicted: Sentences, label: str) -> float:
    gold, found = (
        {one for one in textbook(tags, "strict") if label in {"overall", one.type}} for tags in (GOLD, predicted)
    )
    return 2 * len(gold & found) / (len(gold) + len(found))


def perturbed(name: PerturbationName, predicted: Predicted) -> Evaluated:
    digests = {"words_sha256": predicted.words_sha256, "gold_sha256": predicted.gold_sha256}
    ref = CorpusRef(
        dataset=DatasetConfig(name="own", files={"test": "x"}),
        split="test",
        types=("LOC",),
        perturbation=Perturbation(name=name, seed=7, share=0.2),
        changed_words=5,
        changed_sentences=3,
        **digests,
    )
    return Evaluated(artifact_ref("own"), ref, evaluation_record(evaluate_s=1.5))


def test_drops_are_differences_of_f1_paired_by_document(tmp_path: Path) -> None:
    tags = {"lower": without(5), "ocr": without(50), "accents": without(0)}
    clean = score(str(tmp_path), 1, GOLD, without(0), documents=DOCUMENTS)
    stored = [
        score(str(tmp_path), 2 + n, GOLD, tags[name], documents=DOCUMENTS).model_copy(update={"perturbation": name})
        for n, name in enumerate(NAMES)
    ]
    config = Config.model_validate({"results": str(tmp_path), "store": str(tmp_path / "store")})
    rows = measure_drops(config, clean, [perturbed(*one) for one in zip(NAMES, stored, strict=True)], stored)
    found = {(row["perturbation"], row["label"]): row for row in rows}
    assert {*found} == {(name, label) for name in NAMES for label in ("overall", "LOC", "ORG", "PER")}
    for (name, label), row in found.items():
        assert row["clean"] == pytest.approx(f1(without(0), label)) == 1.0
        assert row["perturbed"] == pytest.approx(f1(tags[name], label))
        assert row["delta"] == pytest.approx(row["perturbed"] - row["clean"])
        assert row["p_adjusted"] >= row["p_value"]
    assert {row["resampling_unit"] for row in rows if row["label"] == "overall"} == {"document"}
    worst, nothing = found["lower", "overall"], found["accents", "overall"]
    assert worst["ci_low"] < worst["delta"] < worst["ci_high"] < 0
    assert worst["p_adjusted"] == pytest.approx(3 * worst["p_value"])  # the smallest of three
    assert (nothing["delta"], nothing["p_value"], nothing["p_adjusted"]) == (0, 1, 1)
    assert (worst["changed_words"], worst["seed"], worst["evaluate_s"]) == (5, 7, 1.5)
    assert worst["clean_predictions_digest"] == clean.predictions_digest != worst["predictions_digest"]
