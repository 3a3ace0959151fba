"""Imported predictions and a trained model in one benchmark, through a Prefect server."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from small_corpus import write_corpus

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.comparison.compare import Query, compare
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.inference.import_predictions import import_predictions
from nerbench.tasks.report.report import build

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def own(config: Config, finished: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The flow tests' models, and predictions of a vendor with other names for persons and places."""
    folder = tmp_path_factory.mktemp("imports")
    test = Path(write_corpus(folder / "test.txt", 12))
    text = test.read_text().replace("-ORG", "-COMPANY").replace("-LOC", "-PLACE").replace("B-MISC", "O")
    (folder / "vendor.txt").write_text(text)
    store = shutil.copytree(config.store, folder / "store")  # other tests benchmark every model of the store
    data = config.model_dump() | {"store": str(store), "results": str(folder / "results")}
    data["gate"] = {"baseline": "tiny@latest"}
    data["datasets"] = [data["datasets"][0] | {"files": data["datasets"][0]["files"] | {"test": str(test)}}]
    data["benchmark"] |= {"speed": True, "label_map_of": {"vendor": {"PLACE": "LOC"}}}
    changed = Config.model_validate(data)
    corpus = load_splits(changed.datasets[0])["test"]
    renamed = {"COMPANY": "O", "PLACE": "ORG"}
    import_predictions(str(folder / "vendor.txt"), "vendor", corpus, Store(changed.store), label_map=renamed)
    return changed


@pytest.fixture(scope="module")
def failure(own: Config) -> RunFailedError:
    """The error of a gate that compares the vendor with a better model."""
    from nerbench.flows.benchmark import benchmark

    with pytest.raises(RunFailedError, match=r"vendor.*regression") as caught:
        benchmark(own, models=["vendor"])
    return caught.value


def test_rows_identify_the_scored_predictions(own: Config, failure: RunFailedError) -> None:
    rows = read_results(own.results, "metrics").to_pylist()
    about = {(row["model"], row["kind"], row["label_map"], row["n_unmapped"]) for row in rows}
    assert about == {
        ("vendor", "predictions", '{"COMPANY":"O","PLACE":"LOC"}', 2),
        ("tiny", "model", None, 0),
    }
    recall = {
        row["label"]: row["value"]
        for row in rows
        if (row["model"], row["mode"], row["metric"], row["slice"]) == ("vendor", "strict", "recall", "all")
        and row["average"] in {"", "micro"}
    }
    assert recall == {"LOC": 1, "PER": 1, "MISC": 0, "ORG": 0, "overall": 6 / 9}


def test_there_is_no_speed_of_predictions(own: Config, failure: RunFailedError) -> None:
    assert {row["model"] for row in read_results(own.results, "speed").to_pylist()} == {"tiny"}
    html = build(own.results).html
    assert "imported predictions: no speed; COMPANY → O, PLACE → LOC; 2 types of the corpus without a label" in html


def test_a_model_is_compared_with_imported_predictions(own: Config, failure: RunFailedError) -> None:
    found = compare("tiny", "vendor", own, Query())
    assert found.verdict == "regression"
    (row,) = (row for row in found.deltas if row["primary"])
    assert row["delta"] < 0


def test_predictions_of_other_words_stop_no_other_model(own: Config, failure: RunFailedError, tmp_path: Path) -> None:
    from nerbench.flows.benchmark import benchmark

    data = own.model_dump() | {"gate": None}
    files = data["datasets"][0]["files"] | {"test": write_corpus(tmp_path / "test.txt", 2)}
    data["datasets"] = [data["datasets"][0] | {"files": files}]
    data["benchmark"] |= {"speed": False}
    with pytest.raises(RunFailedError, match=r"^1 failed: vendor: has predictions for other words") as caught:
        benchmark(Config.model_validate(data), models=["vendor", "tiny"])
    assert caught.value.summary
    assert {row["model"] for row in caught.value.summary["metrics"]} == {"tiny"}
