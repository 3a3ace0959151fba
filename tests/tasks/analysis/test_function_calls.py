"""Benchmark functions over a stored model, its corpus and predictions: handles are loaded lazily and evicted."""

import gc
import weakref
from typing import Any

import pytest
from benched import Benched, bench, valid
from tagging import random_sentences

from nerbench.tasks.analysis.user_scores import functions_over, run_user_functions
from nerbench.tasks.config import Config
from nerbench.tasks.inference import loading
from nerbench.tasks.scoring.metrics import Row

GOLD, PREDICTED = random_sentences(5, 100)
GOLD = valid(GOLD)
FUNCTIONS = """
import nerbench

@nerbench.benchmark_function(tags=["model"])
def parameters(model):
    return model.num_parameters()

@nerbench.benchmark_function(tags=["model"])
def again(model, tokenizer):
    return {"parameters": model.num_parameters(), "pieces": len(tokenizer)}

@nerbench.benchmark_function(tags=["light"])
def light(tokenizer, artifact_path):
    return (artifact_path / "config.json").stat().st_size

@nerbench.benchmark_function(tags=["words"])
def words(corpus, predictions):
    assert predictions.identity.model == "tiny" and predictions.table.num_rows == corpus.n_words
    return corpus.n_words

@nerbench.benchmark_function(tags=["both"])
def both(model, tokenizer, corpus):
    return model.num_parameters()

@nerbench.benchmark_function(tags=["corpus"])
def sentences(corpus):
    return len(corpus.words)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Benched:
    """A model with predictions, and a file of functions."""
    folder = tmp_path_factory.mktemp("functions")
    (folder / "bench.py").write_text(FUNCTIONS)
    return bench(folder, GOLD, PREDICTED, None, metrics=[str(folder / "bench.py")], benchmark={"device": "cpu"})


def rows_of(own: Benched, *tags: str, with_predictions: bool = True, annotations: int = 1) -> list[Row]:
    config: Config = own.configured(benchmark={"device": "cpu", "tags": tags})
    predicted = [own.predicted()] if with_predictions else []
    functions = functions_over(config, of_model=True)
    return run_user_functions(config, functions, own.artifact, [own.ref] * annotations, predicted)


@pytest.mark.slow
def test_the_model_is_loaded_once_and_evicted(own: Benched, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[weakref.ref[Any]] = []
    honest = loading.load_tagger

    def load(*arguments: Any, **options: Any) -> Any:
        tagger = honest(*arguments, **options)
        loaded.append(weakref.ref(tagger.model))
        return tagger

    monkeypatch.setattr(loading, "load_tagger", load)
    rows = rows_of(own, "model", "both", annotations=2)
    gc.collect()
    assert [row["name"] for row in rows] == ["parameters", "again.parameters", "again.pieces", "both", "both"]
    assert rows[0]["value"] == rows[1]["value"] == rows[3]["value"] > 0
    assert {(row["artifact_id"], row["model"]) for row in rows} == {(own.artifact.artifact_id, "tiny")}
    (model,) = loaded
    assert model() is None


def test_files_and_tokenizer_load_no_model(own: Benched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_tagger", lambda *_, **__: pytest.fail("loaded"))
    (row,) = rows_of(own, "light")
    assert (row["name"], row["status"], row.get("dataset")) == ("light", "ok", None)


def test_corpus_and_predictions_are_of_one_annotation(own: Benched) -> None:
    (row,) = rows_of(own, "words")
    assert (row["dataset"], row["split"], row["gold"]) == ("own", "test", "own")
    assert row["value"] == sum(map(len, GOLD))


def test_functions_over_missing_predictions_are_not_called(own: Benched) -> None:
    """So that the next attempt of the run can add their rows."""
    assert [row["name"] for row in rows_of(own, "words", "light", with_predictions=False)] == ["light"]


def test_functions_without_model_arguments_are_called_without_a_model(own: Benched) -> None:
    config = own.configured(benchmark={"device": "cpu", "tags": ("corpus",)})
    assert not functions_over(config, of_model=True)
    (row,) = run_user_functions(config, functions_over(config, of_model=False), None, [own.ref], [])
    assert (row["value"], row.get("artifact_id"), row["dataset"]) == (len(GOLD), None, "own")
