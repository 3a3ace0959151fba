"""Imported predictions must have the words of the corpus, and their tags are not changed."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.data.corpus_refs import describe, open_corpus
from nerbench.tasks.inference.evaluation_cache import Evaluated, EvaluationRecord, Shard, carry_out, plan
from nerbench.tasks.inference.import_predictions import Imported, import_predictions
from nerbench.tasks.results.export import Selection, export_table
from nerbench.tasks.results.rows import write_predictions
from nerbench.tasks.run_identity import Run, utc_now
from nerbench.tasks.scoring.score_predictions import NamedPredictions, count_predictions, name_predictions, score_counts

GOLD = [
    ["Anna B-PER", "Berg I-PER", "left O", "Oslo B-LOC"],
    ["Rain O"],
    ["Paris B-LOC", "beats O", "Oslo B-LOC"],
]


def conll(path: Path, sentences: list[list[str]]) -> str:
    path.write_text("\n".join("".join(f"{line}\n" for line in sentence) for sentence in sentences))
    return str(path)


def retagged(*tags: str) -> list[list[str]]:
    left = iter(" ".join(tags).split())
    return [[f"{line.split()[0]} {next(left)}" for line in sentence] for sentence in GOLD]


class Case:
    """A corpus with a store and results."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write_corpus(GOLD)

    def write_corpus(self, sentences: list[list[str]]) -> None:
        path = conll(self.folder / "test.txt", sentences)
        self.config = Config.model_validate(
            {
                "store": str(self.folder / "store"),
                "results": str(self.folder / "results"),
                "dataset": {"name": "own", "files": {"test": path}},
                "benchmark": {"device": "cpu"},
            }
        )
        (self.ref,) = describe(self.config, self.config.datasets[0])

    def imported(self, path: str, name: str = "vendor", **options: Any) -> Imported:
        corpus = load_splits(self.config.datasets[0])["test"]
        return import_predictions(path, name, corpus, Store(self.config.store), **options)

    def evaluated(self, found: Imported) -> EvaluationRecord:
        planned = plan(found.artifact, self.ref.words_sha256, self.config.benchmark, self.config.results)
        return carry_out(planned, found.artifact, open_corpus(self.ref), self.config.results)

    def named(self, found: Imported) -> NamedPredictions:
        evaluated = Evaluated(found.artifact, self.ref, self.evaluated(found))
        return name_predictions(self.config.results, evaluated, self.config.benchmark)

    def tags(self, found: Imported) -> list[str]:
        record = self.evaluated(found)
        table = pq.read_table(Path(self.config.results) / record.path)
        tags: list[str] = table["pred"].to_pylist()
        return tags

    def metrics(self, found: Imported) -> list[dict[str, Any]]:
        counted = count_predictions(self.config.results, self.named(found), self.config)
        return [
            row for label in counted.labels for row in score_counts(self.config.results, counted, label, self.config)
        ]


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return Case(tmp_path)


def strict(rows: list[dict[str, Any]], metric: str) -> float | None:
    wanted = {"mode": "strict", "slice": "all", "label": "overall", "average": "micro", "metric": metric}
    (value,) = (row["value"] for row in rows if wanted.items() <= row.items())
    found: float | None = value
    return found


def test_predictions_are_scored_like_those_of_a_model(case: Case) -> None:
    found = case.imported(conll(case.folder / "p.txt", retagged("B-PER I-PER O O", "O", "B-LOC O B-PER")))
    rows = case.metrics(found)
    assert (strict(rows, "precision"), strict(rows, "recall")) == (2 / 3, 2 / 4)
    assert (found.words, found.entity_types, found.n_invalid) == (8, ("LOC", "PER"), 0)
    assert found.artifact.kind == "predictions"


@pytest.mark.parametrize(
    ("written", "kept", "n_invalid"),
    [
        ("O I-PER O B-LOC O B-LOC O I-LOC", "O I-PER O B-LOC O B-LOC O I-LOC", 2),
        ("I-PER I-PER O I-LOC O I-LOC O I-LOC", "B-PER I-PER O B-LOC O B-LOC O B-LOC", 0),  # IOB1
        ("B-PER E-PER O S-LOC O S-LOC O E-LOC", "B-PER I-PER O B-LOC O B-LOC O I-LOC", 1),  # BIOES
        ("O O O O O O O O", "O O O O O O O O", 0),
    ],
)
def test_tags_are_never_repaired(case: Case, written: str, kept: str, n_invalid: int) -> None:
    found = case.imported(conll(case.folder / "p.txt", retagged(written)))
    assert case.tags(found) == kept.split()
    assert found.n_invalid == n_invalid


@pytest.mark.parametrize(
    ("sentences", "message"),
    [
        (
            [[*GOLD[0][:3], "Bergen O"], ["Snow O"], GOLD[2]],
            r"p.txt:4: found 'Bergen', but own has 'Oslo' \(sentence 0, word 3\); 2 of 3 sentences differ; the file "
            "has 3 sentences and 8 words, own 3 and 8; predict the sentences of own, test, in their order",
        ),
        (GOLD[:2], r"p.txt: found nothing, but own has 'Paris' \(sentence 2, word 0\); 1 of 3 sentences differ"),
        ([*GOLD, ["More O"]], r"p.txt:12: found 'More', but own has nothing \(sentence 3, word 0\); 1 of 3"),
        ([[*GOLD[0], *GOLD[1]], GOLD[2]], r"found 'Rain', but own has nothing \(sentence 0, word 4\); 3 of 3"),
    ],
)
def test_other_words_are_named_and_counted(case: Case, sentences: list[list[str]], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        case.imported(conll(case.folder / "p.txt", sentences))
    assert Store(case.config.store).list() == []


def test_a_changed_corpus_has_no_predictions(case: Case) -> None:
    found = case.imported(conll(case.folder / "p.txt", GOLD))
    case.write_corpus([["Anna B-PER", "Borg I-PER"], *GOLD[1:]])
    with pytest.raises(InputError, match=r"model vendor: has predictions for other words \(those of own, test, sha256"):
        case.evaluated(found)


def test_a_changed_annotation_needs_no_import(case: Case) -> None:
    found = case.imported(conll(case.folder / "p.txt", GOLD))
    assert strict(case.metrics(found), "f1") == 1
    case.write_corpus(retagged("B-PER O O B-LOC", "O", "B-LOC O B-LOC"))
    assert strict(case.metrics(found), "precision") == 3 / 4


def test_types_are_renamed_when_they_are_scored(case: Case) -> None:
    path = conll(case.folder / "p.txt", retagged("B-PERSON I-PERSON O B-DATE O B-GPE O O"))
    found = case.imported(path, label_map={"PERSON": "PER", "GPE": "LOC", "DATE": "O"})
    assert strict(case.metrics(found), "precision") == 1
    assert "B-PERSON" in case.tags(found)
    assert found.artifact.label_map == {"PERSON": "PER", "GPE": "LOC", "DATE": "O"}
    again = case.imported(path)
    assert again.artifact.model_sha256 == found.artifact.model_sha256
    with pytest.raises(InputError, match=r"label_map: {PERSON: PER} below benchmark if they mean the same; list DATE,"):
        case.metrics(again)


def test_the_name_of_a_model_is_taken(case: Case, tiny_model_folder: Path) -> None:
    Store(case.config.store).publish(tiny_model_folder, "tiny", Provenance())
    path = conll(case.folder / "p.txt", GOLD)
    with pytest.raises(InputError, match=r"name 'tiny': is that of a model in the store .*; choose another one"):
        case.imported(path, "tiny")
    assert [case.imported(path, "vendor").artifact.name for _ in "ab"] == ["vendor", "vendor"]


def test_shards_are_parts_of_the_import(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.tasks.inference.prediction.BLOCK", 1)
    found = case.imported(conll(case.folder / "p.txt", GOLD))
    planned = plan(found.artifact, case.ref.words_sha256, case.config.benchmark, case.config.results)
    second = Shard(number=2, of=2, first=2, stop=3, record=None)
    record = carry_out(planned, found.artifact, open_corpus(case.ref), case.config.results, shard=second)
    table = pq.read_table(Path(case.config.results) / record.path)
    assert (table["word"].to_pylist(), table["pred"].to_pylist()) == ([5, 6, 7], ["B-LOC", "O", "B-LOC"])


TAG = st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=st.lists(TAG, min_size=8, max_size=8))
def test_an_export_imported_again_has_the_same_metrics(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, tags: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("export")
    monkeypatch.setenv("NERBENCH_CACHE", str(folder / "cache"))
    case = Case(folder)
    # Declared, because letters alone may also be those of IOB1.
    first = case.imported(conll(folder / "p.txt", retagged(*tags)), "first", scheme="iob2")
    run = Run(run_id="r", flow="", date="2030-01-01", results=case.config.results, started_at=utc_now(), attempt=1)
    write_predictions(run, case.named(first), case.config.benchmark)
    export_table(case.config.results, "predictions", folder / "e.parquet", Selection())
    second = case.imported(str(folder / "e.parquet"), "second")
    assert case.tags(second) == case.tags(first) == tags
    assert case.metrics(second) == case.metrics(first)
    assert case.evaluated(second).predictions_digest == case.evaluated(first).predictions_digest
    assert read_results(case.config.results, "predictions").num_rows == len(tags)


def test_scores_survive_an_export(case: Case) -> None:
    rows = (
        '{"tokens": ["Anna", "Berg", "left", "Oslo"], "spans": [{"start": 0, "end": 2, "label": "PER", "score": 0.25}]}'
    )
    (case.folder / "p.jsonl").write_text(
        rows + '\n{"tokens": ["Rain"], "spans": []}\n{"tokens": ["Paris", "beats", "Oslo"], "spans": []}\n'
    )
    record = case.evaluated(case.imported(str(case.folder / "p.jsonl")))
    scores = pq.read_table(Path(case.config.results) / record.path)["score"].to_pylist()
    assert scores == [0.25, 0.25, *[None] * 6]
