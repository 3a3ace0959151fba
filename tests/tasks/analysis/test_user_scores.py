"""Custom metrics of stored predictions, with and without the model."""

from typing import Any

import pytest
from benched import Benched, bench, valid
from tagging import random_sentences

from nerbench.tasks.analysis.calibration import METRICS as CALIBRATION
from nerbench.tasks.analysis.user_scores import score_stored, score_user_metrics
from nerbench.tasks.config import Config
from nerbench.tasks.inference import loading
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score_predictions import count_predictions, score_counts

GOLD, PREDICTED = random_sentences(5, 300)
GOLD = valid(GOLD)
DOCUMENTS = [number // 10 for number in range(len(GOLD))]
METRICS = """
from nerbench.tasks.scoring.metrics import metric

@metric("words", tags=["size"])
def words(predictions):
    return predictions.table.num_rows

@metric("parameters", needs="model", tags=["size"])
def parameters(predictions, tagger):
    return sum(one.numel() for one in tagger.model.parameters())

@metric("who", labels=["LOC"], parameters={"k": [1, 2]}, tags=["identity"])
def who(predictions, *, label, k):
    assert predictions.identity.model == "tiny" and predictions.identity.gold == "own"
    return {"label_is_LOC": label == "LOC" and True * 1, "k": k}

@metric("halved", needs="counts", tags=["shape"])
def halved(sums):
    return sums.tp / sums.n_gold / 2

@metric("broken", tags=["bad"])
def broken(predictions):
    return 1 / 0
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Benched:
    """A model with predictions, and a file of metrics."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(METRICS)
    return bench(folder, GOLD, PREDICTED, DOCUMENTS, metrics=[str(folder / "mine.py")], benchmark={"device": "cpu"})


def tagged(own: Benched, *tags: str, **benchmark: Any) -> Config:
    return own.configured(benchmark={"device": "cpu", "tags": tags, **benchmark})


def values(rows: list[Row]) -> dict[tuple[str, str | None], Any]:
    return {(row["metric"], row["parameters"]): row["value"] for row in rows}


def test_the_model_is_given_to_metrics_that_need_it(own: Benched, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    honest = loading.load_tagger

    def load(*arguments: Any, **options: Any) -> Any:
        loaded.append(honest(*arguments, **options))
        return loaded[-1]

    monkeypatch.setattr(loading, "load_tagger", load)
    rows = score_user_metrics(own.predicted(), tagged(own, "size"), own.artifact)
    assert len(loaded) == 1
    n = sum(one.numel() for one in loaded[0].model.parameters())
    assert values(rows) == {("words", None): sum(map(len, GOLD)), ("parameters", None): n}


def test_no_model_is_loaded_that_no_metric_needs(own: Benched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_tagger", lambda *_, **__: pytest.fail("loaded"))
    rows = score_user_metrics(own.predicted(), tagged(own, "identity", "bad"), own.artifact)
    expected = {("who.label_is_LOC", f"k={k}"): 1.0 for k in (1, 2)} | {("who.k", f"k={k}"): k for k in (1, 2)}
    assert values(rows) == expected | {("broken", None): None}
    (broken,) = (row for row in rows if row["metric"] == "broken")
    assert broken["status"] == "failed"
    assert broken["reason"].startswith("ZeroDivisionError: division by zero (mine.py:")


def test_metrics_of_counts_alone_read_no_predictions(own: Benched) -> None:
    gone = own.predicted().model_copy(update={"uri": "nowhere.parquet"})
    assert score_user_metrics(gone, tagged(own, "shape", "builtin"), own.artifact) == []


REPAIRED = {"n_repaired": 0}
"""Values that only the corpus provides."""


@pytest.mark.parametrize("labels", ["all", ("LOC",)])
def test_stored_predictions_give_the_rows_of_their_run(own: Benched, labels: Any) -> None:
    config = tagged(own, "builtin", "shape", labels=labels)
    counted = count_predictions(own.results, own.named(), config)
    before = [row for label in counted.labels for row in score_counts(own.results, counted, label, config)]
    after = score_stored(own.predicted(), config)
    assert [row | REPAIRED for row in after if row["metric"] not in CALIBRATION] == [row | REPAIRED for row in before]
    calibrated = {row["label"] for row in after if row["metric"] == "brier"}
    assert calibrated == {"overall", *(("LOC", "ORG", "PER") if labels == "all" else labels)}
    assert any(row["metric"] == "halved" and row["ci_low"] for row in after)


def test_stored_predictions_have_no_model(own: Benched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_tagger", lambda *_, **__: pytest.fail("loaded"))
    rows = score_stored(own.predicted(), tagged(own, "size"))
    assert values(rows) == {("words", None): sum(map(len, GOLD)), ("parameters", None): None}
    assert rows[-1]["reason"] == "it needs the model, which is not loaded for scoring stored predictions"
