"""From stored predictions to the rows of single labels."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benched import Benched, bench, valid
from tagging import random_sentences, textbook

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import Config
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score_predictions import count_predictions, score_counts, selected_metrics

GOLD, PREDICTED = random_sentences(5, 400)
GOLD = valid(GOLD)
DOCUMENTS = [number // 10 for number in range(len(GOLD))]
METRICS = """
from pathlib import Path
from nerbench.tasks.scoring.metrics import metric

with Path(__file__).with_name("runs.txt").open("a") as file:
    file.write("x")

@metric("mine", needs="counts", tags=["shape"])
def mine(sums):
    return sums.tp / sums.n_gold
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Benched:
    """A model on forty documents of ten sentences."""
    return bench(tmp_path_factory.mktemp("own"), GOLD, PREDICTED, DOCUMENTS)


@pytest.fixture
def scores(own: Benched) -> Callable[..., list[Row]]:
    """The rows of all labels with these sections of the configuration."""

    def score(**sections: Any) -> list[Row]:
        config = own.configured(**sections)
        counted = count_predictions(own.results, own.named(), config)
        return [row for label in counted.labels for row in score_counts(own.results, counted, label, config)]

    return score


def named(rows: list[Row], **wanted: Any) -> list[Row]:
    return [row for row in rows if wanted.items() <= row.items()]


def test_seen_and_unseen_entities_are_all_entities(scores: Callable[..., list[Row]]) -> None:
    rows = named(scores(), mode="strict", metric="f1", average="micro")
    n_gold = {row["slice"]: row["n_gold"] for row in rows}
    mentions = list(textbook(GOLD, "strict"))
    assert n_gold["seen"] == n_gold["all"] == len(mentions), "the model was trained on these very sentences"
    assert n_gold["unseen"] == 0
    lengths = Counter(min(one.end - one.start, 4) for one in mentions)
    assert [n_gold[f"length_{name}"] for name in ("1", "2", "3", "4+")] == [lengths[n] for n in (1, 2, 3, 4)]
    (unseen,) = named(rows, slice="unseen")
    assert (unseen["value"], unseen["status"]) == (0.0, "ok"), "the model makes mentions up"
    assert n_gold["first_sentence"] + n_gold["later_sentence"] == len(mentions)


def test_an_unavailable_slice_is_one_row_with_a_reason(own: Benched, scores: Callable[..., list[Row]]) -> None:
    (dataset,) = own.config.model_dump()["datasets"]
    rows = scores(datasets=[dataset | {"files": {"test": dataset["files"]["test"]}}])
    missing = named(rows, status="unavailable")
    assert [row["slice"] for row in missing] == ["seen", "unseen"]
    for row in missing:
        assert row["reason"] == "its training corpus (own train) is not among the data sets"
        assert (row["metric"], row["label"], row["value"]) == ("f1", "overall", None)
    assert len(named(rows, slice="seen")) == 1


@pytest.mark.parametrize("where", ["sentence_length <= 5", "position == 0 and startswith(pred_tag, 'B-')"])
def test_a_custom_slice_counts_by_its_condition(scores: Callable[..., list[Row]], where: str) -> None:
    rows = scores(slices=[{"name": "mine", "where": where}])
    (row,) = named(rows, slice="mine", mode="strict", metric="f1", average="micro")
    short = where.startswith("sentence")

    def holds(sentence: int, start: int) -> bool:
        return len(GOLD[sentence]) <= 5 if short else start == 0 and PREDICTED[sentence][0][0] == "B"

    gold, predicted = (
        {one for one in textbook(tags, "strict") if holds(one.sentence, one.start)} for tags in (GOLD, PREDICTED)
    )
    assert (row["tp"], row["n_gold"], row["n_pred"]) == (len(gold & predicted), len(gold), len(predicted))
    assert row["tp"] > 0


def test_a_slice_that_fails_names_the_line(own: Benched, tmp_path: Path) -> None:
    file = tmp_path / "slices.py"
    file.write_text("def mine(words):\n    return 1 / 0\n")
    config = own.configured(slices=[{"name": "mine", "function": f"{file}:mine"}])
    with pytest.raises(InputError, match=r"slice mine: .*ZeroDivisionError.*slices\.py:2"):
        count_predictions(own.results, own.named(), config)


def test_numbers_have_intervals_or_a_reason(scores: Callable[..., list[Row]]) -> None:
    rows = [row for row in scores() if row["status"] == "ok"]
    with_one = [row for row in rows if row["ci_low"] is not None]
    assert len(with_one) > len(rows) / 2
    for row in with_one:
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        assert (row["confidence"], row["reason"]) == (0.95, None)
        assert row["ci_method"]
        if row["label"] in ("LOC", "ORG", "PER"):
            assert row["n_gold"] >= 30
    without = [row for row in rows if row["ci_low"] is None]
    assert all(row["reason"] for row in without)
    assert {row["ci_high"] for row in without} == {row["ci_method"] for row in without} == {None}
    few = [row for row in without if row["n_gold"] < 30]
    assert few
    assert all("fewer than 30" in row["reason"] for row in few)


def test_intervals_have_the_configured_confidence(scores: Callable[..., list[Row]]) -> None:
    wanted = {"slice": "all", "mode": "strict", "label": "overall", "metric": "f1", "average": "micro"}
    (wide,), (narrow,) = named(scores(), **wanted), named(scores(benchmark={"confidence": 0.6}), **wanted)
    assert (wide["confidence"], narrow["confidence"]) == (0.95, 0.6)
    assert wide["ci_low"] < narrow["ci_low"] < narrow["value"] < narrow["ci_high"] < wide["ci_high"]


def test_only_metrics_with_a_wanted_tag_are_computed(scores: Callable[..., list[Row]], tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(METRICS)
    wanted: dict[str, Any] = {"metrics": [str(file)], "datasets": []}
    rows = scores(**wanted, benchmark={"tags": ["shape"]})
    assert {row["metric"] for row in rows} == {"mine"}, "no unavailable slice of f1 either"
    assert {row["source"][:8] for row in rows} == {"mine.py@"}
    both = {row["metric"] for row in scores(**wanted, benchmark={"tags": ["builtin", "shape"]})}
    assert both == {row["metric"] for row in scores(**wanted)} == {"precision", "recall", "f1", "accuracy", "mine"}
    assert (tmp_path / "runs.txt").read_text() == "x", "the file runs once, however many labels there are"


def test_an_unknown_tag_is_refused(tmp_path: Path) -> None:
    config = Config.model_validate({"benchmark": {"tags": ["shape"]}})
    with pytest.raises(InputError, match=r"tags: nothing has the tag 'shape'; choose among builtin, counts"):
        selected_metrics(config)
