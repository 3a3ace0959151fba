"""Saved models with labels that differ from the corpus: correct, mapped, or refused with both lists."""

import json
import shutil
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file
from tiny_models import LABELS, WORDS, save_bag

from nerbench.artifacts.errors import LabelError
from nerbench.artifacts.references import resolve
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus_refs import describe, open_corpus
from nerbench.tasks.inference.evaluation_cache import Evaluated, carry_out, plan
from nerbench.tasks.scoring.score_predictions import NamedPredictions, count_predictions, name_predictions, score_counts

Name = Callable[..., NamedPredictions]
Relabel = Callable[..., Path]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT that predicts one of five labels for each word by its first token."""
    return save_bag(tmp_path_factory.mktemp("model"), lambda piece: piece % len(LABELS))


@pytest.fixture
def relabel(model: Path, tmp_path: Path) -> Relabel:
    """Saves a copy of the model with these `outputs` under the names `labels`."""

    def save(labels: Sequence[str], outputs: Sequence[int] = range(5)) -> Path:
        folder = Path(shutil.copytree(model, tmp_path / "models" / "tagger"))
        weights = load_file(folder / "model.safetensors")
        for name in ("classifier.weight", "classifier.bias"):
            weights[name] = weights[name][list(outputs)]
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config |= {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return save


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Config]:
    """A configuration with a corpus of known words in random order."""
    random = Random(0)
    lines = [
        [f"{word} {random.choice(['O', 'B-LOC', 'B-PER'])}\n" for word in random.choices(WORDS, k=9)] for _ in range(80)
    ]
    (tmp_path / "test.txt").write_text("\n".join(map("".join, lines)))

    def make(dataset: dict[str, Any] | None = None, **benchmark: Any) -> Config:
        return Config.model_validate(
            {
                "results": str(tmp_path / "results"),
                "dataset": {"name": "own", "files": {"test": str(tmp_path / "test.txt")}} | (dataset or {}),
                "benchmark": {"device": "cpu"} | benchmark,
            }
        )

    return make


def predictions(config: Config, folder: Path) -> NamedPredictions:
    (ref,) = describe(config, config.datasets[0])
    (artifact,) = resolve(str(folder), config.store)
    planned = plan(artifact, ref.words_sha256, config.benchmark, config.results)
    record = carry_out(planned, artifact, open_corpus(ref), config.results)
    named = name_predictions(config.results, Evaluated(artifact, ref, record), config.benchmark)
    count_predictions(config.results, named, config)
    return named


@pytest.fixture
def expected(configure: Callable[..., Config], model: Path) -> NamedPredictions:
    found = predictions(configure(), model)
    assert len(set(found.tags.to_pylist())) == 5, "a model with one answer would prove nothing"
    return found


REVERSED = range(4, -1, -1)


@pytest.mark.parametrize(
    ("labels", "outputs", "benchmark"),
    [
        (LABELS[::-1], REVERSED, {}),
        (("O", "B-GPE", "I-GPE", "B-PERSON", "I-PERSON"), range(5), {"label_map": {"GPE": "LOC", "PERSON": "PER"}}),
        (("I-P", "B-P", "I-LOC", "B-LOC", "O"), REVERSED, {"label_map": {"P": "PER"}}),
        (("O", "S-LOC", "E-LOC", "U-PER", "L-PER"), range(5), {}),
        ([f"LABEL_{i}" for i in range(5)], REVERSED, {"labels_of": {"tagger": LABELS[::-1]}}),
    ],
    ids=["other order", "other names", "both", "other letters", "no names"],
)
def test_the_same_model_under_other_labels(
    *,
    relabel: Relabel,
    configure: Callable[..., Config],
    expected: NamedPredictions,
    labels: Sequence[str],
    outputs: Sequence[int],
    benchmark: dict[str, Any],
) -> None:
    assert predictions(configure(**benchmark), relabel(labels, outputs)).digest == expected.digest


def test_an_io_model_begins_entities_where_types_change(relabel: Relabel, configure: Callable[..., Config]) -> None:
    config = configure()
    folder = relabel(("LOC", "O", "PER"), (1, 0, 3))
    found = predictions(config, folder)
    (stored,) = Path(config.results).glob(".cache/evaluations/*/*.parquet")
    labels, tags = pq.read_table(stored)["pred"].to_pylist(), found.tags.to_pylist()
    sentences = [-1, *found.table["sentence"].to_pylist()]
    for here, ((before, label), (last, sentence)) in enumerate(
        zip(pairwise(["", *labels]), pairwise(sentences), strict=True)
    ):
        continues = label == before and last == sentence
        assert tags[here] == ("O" if label == "O" else f"{'I' if continues else 'B'}-{label}")
    (ref,) = describe(config, config.datasets[0])
    (artifact,) = resolve(str(folder), config.store)
    record = plan(artifact, ref.words_sha256, config.benchmark, config.results).record
    assert record is not None
    named = name_predictions(config.results, Evaluated(artifact, ref, record), config.benchmark)
    counted = count_predictions(config.results, named, config)
    rows = score_counts(config.results, counted, "overall", config)
    wanted = {"slice": "all", "metric": "f1", "average": "micro"}
    f1 = {row["mode"]: row["value"] for row in rows if wanted.items() <= row.items()}
    assert f1["strict"] == f1["conlleval"] > 0


def test_parts_of_a_corpus_make_no_difference(
    relabel: Relabel, configure: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder = configure(), relabel(("LOC", "O", "PER"), (1, 0, 3))
    results = []
    for size in (2048, 7):
        monkeypatch.setattr("nerbench.tasks.data.arrow_cache.CHUNK", size)
        monkeypatch.setattr("nerbench.tasks.data.corpus_refs._open", OrderedDict())
        (ref,) = describe(config, config.datasets[0])
        (artifact,) = resolve(str(folder), config.store)
        planned = plan(artifact, ref.words_sha256, config.benchmark, config.results)
        record = carry_out(planned, artifact, open_corpus(ref), config.results)
        named = name_predictions(config.results, Evaluated(artifact, ref, record), config.benchmark)
        counted = count_predictions(config.results, named, config)
        results.append(counted.model_dump())
    assert results[0] == results[1]


def test_a_model_without_some_type(
    relabel: Relabel,
    configure: Callable[..., Config],
    expected: NamedPredictions,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = relabel(LABELS[:3], range(3))
    found = predictions(configure(), folder)
    assert found.unmapped == ("PER",)
    assert "tagger: has no label for PER of own; these entities count as missed" in caplog.text
    found = predictions(configure({"ignore_labels": ["PER"]}), folder)
    assert set(found.tags.to_pylist()) == set(LABELS[:3])
    assert found.unmapped == ()


def test_a_model_with_more_types(
    relabel: Relabel, configure: Callable[..., Config], expected: NamedPredictions
) -> None:
    folder = relabel(("O", "B-LOC", "I-LOC", "B-PER", "I-PER", "B-DATE", "I-DATE"), (0, 1, 2, 3, 4, 1, 2))
    with pytest.raises(
        LabelError, match=r"model tagger: its types are DATE, LOC, PER, the corpus's are LOC, PER; list DATE"
    ):
        predictions(configure(), folder)
    # The additional outputs are never predicted: of equal ones, the first is chosen.
    for benchmark in ({"ignore_labels": ["DATE"]}, {"label_map": {"DATE": "LOC"}}):
        assert predictions(configure(**benchmark), folder).digest == expected.digest


def test_a_model_without_names(relabel: Relabel, configure: Callable[..., Config]) -> None:
    folder = relabel([f"LABEL_{i}" for i in range(5)])
    with pytest.raises(
        LabelError, match=r"model tagger: its label LABEL_0 names no tag; list .* in benchmark.labels_of"
    ):
        predictions(configure(), folder)
