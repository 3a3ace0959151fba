"""Perturbed words in real flow runs: ordinary evaluations, cached as all are, which a rule of the gate may name."""

from pathlib import Path
from typing import Any

import pytest
from small_corpus import write_corpus

from nerbench.artifacts.errors import LabelError
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.data.demo import prepare_demo

pytestmark = pytest.mark.e2e
NAMES = ["lower", "typos_in_mentions", "entity_swap"]


def test_perturbed_words_are_evaluated_once_and_stay_apart(
    config: Config, finished: dict[str, Any], tmp_path: Path
) -> None:
    from nerbench.flows.benchmark import benchmark

    data = config.model_dump() | {"results": str(tmp_path / "results"), "models": []}
    files = data["datasets"][0]["files"] | {"test": write_corpus(tmp_path / "many.txt", 25)}
    data["datasets"] = [data["datasets"][0] | {"files": files}]
    data["benchmark"] |= {"report": True}
    data["robustness"] = {"perturbations": NAMES, "mentions": {"PER": ["Bo Diddley"], "LOC": ["Suva"]}}
    data["gate"] = {"baseline": "tinier@latest", "margin": 100, "rules": [{}, {"perturbation": "lower"}]}
    first = benchmark(Config.model_validate(data), models=["tiny"])
    assert (first["evaluated"], first["cached"]) == (2, 0)
    drops = {
        row["perturbation"]: row for row in first["robustness"] if row["label"] == "overall" and row["model"] == "tiny"
    }
    assert [*drops] == NAMES
    assert drops["lower"]["delta"] < -0.1  # the model is cased
    assert drops["lower"]["ci_high"] < 0
    clean = next(row["value"] for row in first["metrics"] if is_f1(row) and row["model"] == "tiny")
    assert drops["lower"]["clean"] == clean

    rows = read_results(data["results"], "metrics", perturbed=True).to_pylist()
    assert {row["perturbation"] for row in rows} == {None, *NAMES}
    perturbed = {row["perturbation"]: row["value"] for row in rows if is_f1(row) and row["model"] == "tiny"}
    assert perturbed["lower"] == drops["lower"]["perturbed"]
    assert {row["slice"] for row in rows if row["perturbation"]} == {"all"}
    assert not [row for row in first["metrics"] if row["perturbation"]]
    words = {row["words_sha256"] for row in rows}
    assert len(words) == 4
    judged = [(row["rule"], row["perturbation"], row["verdict"]) for row in first["gate"]]
    assert judged == [(1, None, judged[0][2]), (2, "lower", judged[1][2])]
    assert 'id="robustness"' in Path(first["report"]).read_text()

    evaluations = sorted(Path(data["results"], ".cache/evaluations").iterdir())
    assert len(evaluations) == 2 * 4
    again = benchmark(Config.model_validate(data), models=["tiny"])
    assert sorted(Path(data["results"], ".cache/evaluations").iterdir()) == evaluations
    assert [row["delta"] for row in again["robustness"]] == [row["delta"] for row in first["robustness"]]
    runs = read_results(data["results"], "runs").to_pylist()
    assert all(run["robustness_s"] > 0 for run in runs)

    data["robustness"] = {"perturbations": ["entity_swap"], "mentions": {"GPE": ["Suva"]}}
    data["gate"] = None
    with pytest.raises(LabelError, match=r"robustness\.mentions: GPE is not an entity type of own"):
        benchmark(Config.model_validate(data), models=["tiny"])


def is_f1(row: dict[str, Any]) -> bool:
    wanted = {"slice": "all", "mode": "strict", "label": "overall", "average": "micro", "metric": "f1"}
    return wanted.items() <= row.items()


@pytest.mark.slow
def test_the_cased_model_of_the_demonstration_loses_without_case(
    prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nerbench.flows.pipeline import pipeline

    monkeypatch.chdir(tmp_path)
    config = load_config(None, ["benchmark.speed=false", "robustness={perturbations: [lower, entity_swap]}"])
    prepare_demo(config)
    config = config.model_copy(update={"models": config.models[:1]})
    lower, swapped = [row for row in pipeline(config)["robustness"] if row["label"] == "overall"]
    assert lower["clean"] > 0.5
    assert lower["ci_high"] < 0
    assert lower["p_adjusted"] < 0.01
    assert swapped["support"] == lower["support"]
