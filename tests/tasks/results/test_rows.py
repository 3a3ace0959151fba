"""From stored predictions to the rows of the result tables."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from benched import run_of
from tiny_models import SENTENCES, save_bert

from nerbench.artifacts.errors import CorruptArtifactError, InputError, LabelError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import resolve
from nerbench.artifacts.tables import parquet_bounds
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.analysis.user_scores import score_stored
from nerbench.tasks.config import Config
from nerbench.tasks.data import corpus_refs as corpora
from nerbench.tasks.data.corpus_refs import CorpusRef, describe, open_corpus
from nerbench.tasks.inference import loading as modeling
from nerbench.tasks.inference.evaluation_cache import Evaluated, EvaluationRecord, carry_out, plan
from nerbench.tasks.results import rows
from nerbench.tasks.results.summary import read_run
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score import ROW
from nerbench.tasks.scoring.score_predictions import (
    CountedPredictions,
    NamedPredictions,
    count_predictions,
    name_predictions,
    score_counts,
)
from nerbench.tasks.scoring.stored_predictions import Predicted, count_to_compare

TAGS = [
    "B-PER I-PER O O B-LOC O".split(),
    "O O O O B-LOC O B-PER I-PER O O O".split(),
    "O O O O O O O B-LOC I-LOC O".split(),
    "O O O O O O O O B-PER".split(),
]


class Bench(NamedTuple):
    """A configuration and the results of each step of a benchmark."""

    config: Config
    artifact: ArtifactRef

    @property
    def results(self) -> str:
        return self.config.results

    def run(self, run_id: str = "first", day: int = 2) -> Run:
        moment = datetime(2030, 1, day, tzinfo=UTC)
        return Run(
            run_id=run_id,
            flow="benchmark",
            date=moment.date().isoformat(),
            started_at=moment,
            attempt=1,
            results=self.results,
        )

    def refs(self) -> list[CorpusRef]:
        corpora._open.clear()
        return describe(self.config, self.config.datasets[0])

    def record(self, ref: CorpusRef) -> EvaluationRecord:
        found = plan(self.artifact, ref.words_sha256, self.config.benchmark, self.results)
        return carry_out(found, self.artifact, open_corpus(ref), self.results)

    def named(self, ref: CorpusRef) -> NamedPredictions:
        return name_predictions(self.results, Evaluated(self.artifact, ref, self.record(ref)), self.config.benchmark)

    def counted(self, ref: CorpusRef) -> CountedPredictions:
        return count_predictions(self.results, self.named(ref), self.config)

    def scores(self, ref: CorpusRef) -> list[Row]:
        counted = self.counted(ref)
        return [row for label in counted.labels for row in score_counts(self.results, counted, label, self.config)]

    def predicted(self, ref: CorpusRef, **run: Any) -> Predicted:
        return rows.write_predictions(self.run(**run), self.named(ref), self.config.benchmark)

    def write_predictions(self, ref: CorpusRef, **run: Any) -> str:
        return self.predicted(ref, **run).uri

    def write_metrics(self, ref: CorpusRef, **run: Any) -> str:
        predicted = self.predicted(ref, **run)
        scored = rows.metric_rows(self.run(**run), predicted, self.scores(ref))
        return rows.write_metrics(self.run(**run), predicted, scored)


def write_conll(path: Path, tags: list[list[str]]) -> str:
    sentences = (
        "".join(f"{word} {tag}\n" for word, tag in zip(words, labels, strict=True))
        for words, labels in zip(SENTENCES, tags, strict=True)
    )
    path.write_text("\n".join(["-DOCSTART- O\n", *sentences]))
    return str(path)


@pytest.fixture
def bench(tmp_path: Path, tiny_model_folder: Path) -> Callable[..., Bench]:
    """Makes a benchmark of the tiny model on four sentences, with these settings and additional golds."""

    def make(model: Path = tiny_model_folder, golds: Any = None, **benchmark: Any) -> Bench:
        files = {"test": write_conll(tmp_path / "test.txt", TAGS)}
        further = [
            {"name": name, "dataset": "own", "file": write_conll(tmp_path / f"{name}.txt", tags)}
            for name, tags in (golds or {}).items()
        ]
        config = Config.model_validate(
            {
                "results": str(tmp_path / "results"),
                "datasets": [{"name": "own", "files": files}],
                "golds": further,
                "benchmark": {"device": "cpu", **benchmark},
            }
        )
        return Bench(config, resolve(str(model), "")[0])

    return make


@pytest.fixture
def no_inference(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def forbid() -> None:
        def load_tagger(*_: Any, **__: Any) -> None:
            raise AssertionError("there is nothing to infer")

        monkeypatch.setattr(modeling, "load_tagger", load_tagger)

    return forbid


def f1(scores: list[Row], label: str = "overall") -> Row:
    wanted = {
        "slice": "all",
        "label": label,
        "mode": "strict",
        "metric": "f1",
        "average": "" if label != "overall" else "micro",
    }
    (row,) = [row for row in scores if row.items() >= wanted.items()]
    return row


def test_a_changed_tag_is_scored_again_without_inference(
    bench: Callable[..., Bench], no_inference: Callable[[], None], tmp_path: Path
) -> None:
    own = bench()
    before = own.scores(own.refs()[0])
    no_inference()
    write_conll(tmp_path / "test.txt", [["O"] * 6, *TAGS[1:]])
    after = own.scores(own.refs()[0])
    assert f1(before)["n_gold"] == 6
    assert f1(after)["n_gold"] == 4
    assert f1(before)["n_pred"] == f1(after)["n_pred"] > 0


def test_a_changed_word_is_inferred_again(
    bench: Callable[..., Bench], no_inference: Callable[[], None], tmp_path: Path
) -> None:
    own = bench()
    own.scores(own.refs()[0])
    no_inference()
    path = tmp_path / "test.txt"
    path.write_text(path.read_text().replace("Zanzibar", "London"))
    with pytest.raises(AssertionError, match="nothing to infer"):
        own.scores(own.refs()[0])


def test_a_second_gold_is_scored_without_inference(
    bench: Callable[..., Bench], no_inference: Callable[[], None]
) -> None:
    own = bench(golds={"second": [TAGS[0], *([["O"] * len(tags) for tags in TAGS[1:]])]})
    first, second = own.refs()
    scores = own.scores(first)
    no_inference()
    assert [f1(scores)["n_gold"], f1(own.scores(second))["n_gold"]] == [6, 2]
    assert own.counted(first).predictions_digest == own.counted(second).predictions_digest


def test_a_perfect_gold_scores_one(bench: Callable[..., Bench], tmp_path: Path) -> None:
    own = bench()
    uri = own.write_predictions(own.refs()[0])
    predicted = iter(pq.read_table(uri)["pred_tag"].to_pylist())
    write_conll(tmp_path / "test.txt", [[next(predicted) for _ in tags] for tags in TAGS])
    scores = own.scores(own.refs()[0])
    # Annotations are repaired as in conlleval, predictions are not.
    (conlleval,) = [
        row
        for row in scores
        if (row["mode"], row["metric"], row["average"]) == ("conlleval", "f1", "micro") and row["slice"] == "all"
    ]
    assert conlleval["value"] == 1
    assert conlleval["n_repaired"] == conlleval["n_invalid"] > 0


def test_the_repairs_of_each_annotation_are_in_its_rows(bench: Callable[..., Bench]) -> None:
    second = [[tag.replace("B-", "I-") for tag in TAGS[0]], *TAGS[1:]]
    own = bench(golds={"second": second})
    scores = {ref.gold_name: own.scores(ref) for ref in own.refs()}
    assert {name: {row["n_repaired"] for row in rows} for name, rows in scores.items()} == {"own": {0}, "second": {2}}
    assert f1(scores["own"]) | {"n_repaired": 2} == f1(scores["second"])


def test_an_annotation_with_other_words_is_scored_on_the_words_of_the_data_set(
    bench: Callable[..., Bench], no_inference: Callable[[], None], tmp_path: Path
) -> None:
    own = bench(golds={"second": TAGS})
    before = {ref.gold_name: own.scores(ref) for ref in own.refs()}
    assert f1(before["own"]) == f1(before["second"])
    no_inference()
    path = tmp_path / "second.txt"
    lines = path.read_text().splitlines()
    first = lines.index(f"{SENTENCES[0][0]} B-PER")
    lines[first : first + 1] = [f"{SENTENCES[0][0][:1]} B-PER", f"{SENTENCES[0][0][1:]} I-PER"]
    path.write_text("\n".join(lines))
    first_ref, second = own.refs()
    assert (second.words_sha256, second.n_unaligned) == (first_ref.words_sha256, None)
    path.write_text("\n".join([*lines[: -len(SENTENCES[-1])], "Qq B-PER", "Zz I-PER"]))
    second = own.refs()[1]
    evaluated = Evaluated(own.artifact, second, own.record(first_ref))
    predicted, counted = rows.write_and_count(own.run(), evaluated, own.config)
    scores = [row for label in counted.labels for row in score_counts(own.results, counted, label, own.config)]
    assert (predicted.n_unaligned, predicted.n_left_out) == (1, len(SENTENCES[-1]))
    assert f1(scores)["n_gold"] == 5 + 1
    assert len(pq.read_table(predicted.uri)) == sum(map(len, SENTENCES[:-1])) + 2
    (tokens,) = (row for row in scores if row["level"] == "token")
    assert (tokens["status"], tokens["label"]) == ("unavailable", "overall")
    entities = [row for row in scores if row["level"] == "entity"]
    assert {row["mode"] for row in entities} == {"strict", "conlleval", "exact", "partial", "type"}
    again = score_stored(predicted, own.config)
    assert all({name: row[name] for name in ROW} in again for row in scores if row["slice"] == "all")
    assert {one.level for one in count_to_compare(predicted, own.config)} == {"entity"}


def test_predictions_that_are_read_as_plain_strings_are_scored_too(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench()
    expected = own.scores(own.refs()[0])
    monkeypatch.setattr(parquet_bounds, "MAX_BYTES", 1)
    assert own.scores(own.refs()[0]) == expected


def test_labels_of_the_model_are_read_by_name(bench: Callable[..., Bench], tmp_path: Path) -> None:
    labels = ("B-PERSON", "I-PERSON", "O", "I-LOC", "B-LOC")
    renamed = save_bert(tmp_path / "renamed", labels=labels)
    own = bench(model=renamed)
    with pytest.raises(LabelError, match="PERSON"):
        own.counted(own.refs()[0])
    own = bench(model=renamed, label_map={"PERSON": "PER"})
    ref = own.refs()[0]
    assert set(own.counted(ref).labels) == {"overall", "LOC", "PER"}
    table = pq.read_table(own.write_predictions(ref))
    assert set(table["pred_tag"].to_pylist()) <= {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"}
    meaning = dict(zip(labels, ("B-PER", "I-PER", "O", "I-LOC", "B-LOC"), strict=True))
    stored = pq.read_table(Path(own.results, own.record(ref).path))["pred"].to_pylist()
    assert table["pred_tag"].to_pylist() == [meaning[label] for label in stored]


def test_only_the_labels_asked_for_are_scored(bench: Callable[..., Bench]) -> None:
    own = bench(labels=["LOC"])
    assert {row["label"] for row in own.scores(own.refs()[0])} == {
        "overall",
        "overall_with_O",
        "LOC",
        "B-LOC",
        "I-LOC",
        "O",
    }
    with pytest.raises(LabelError, match=r"benchmark\.labels: GPE is not an entity type of own; choose among LOC, PER"):
        bench(labels=["LOC", "GPE"]).refs()


def test_altered_counts_are_noticed(bench: Callable[..., Bench]) -> None:
    own = bench()
    counted = own.counted(own.refs()[0])
    path = Path(own.results, counted.counts)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptArtifactError, match="not what was written"):
        score_counts(own.results, counted, "overall", own.config)


def test_prediction_rows_have_words_and_gold(bench: Callable[..., Bench]) -> None:
    own = bench()
    (ref,) = own.refs()
    table = read_results(own.results, "predictions") if own.write_predictions(ref) else None
    assert table is not None
    assert table["text"].to_pylist() == [word for words in SENTENCES for word in words]
    assert table["gold_tag"].to_pylist() == [tag for tags in TAGS for tag in tags]
    assert table["word"].to_pylist() == list(range(table.num_rows))
    assert table["sentence"].to_pylist() == [n for n, words in enumerate(SENTENCES) for _ in words]
    assert set(table["document"].to_pylist()) == {0}
    assert set(table["artifact_id"].to_pylist()) == {own.artifact.artifact_id}
    assert {table[name][0].as_py() for name in ("dataset", "gold", "split")} == {"own", "test"}
    assert all(0 < score <= 1 for score in table["score"].to_pylist())


def test_text_may_be_left_out(bench: Callable[..., Bench]) -> None:
    own = bench(text="drop")
    uri = own.write_predictions(own.refs()[0])
    assert pq.read_table(uri)["text"].null_count == sum(map(len, SENTENCES))
    for path in Path(own.results).rglob("*.parquet"):
        assert "internationalization" not in str(pq.read_table(path).to_pydict())


def test_predictions_are_written_once_whatever_the_run(bench: Callable[..., Bench]) -> None:
    own = bench(golds={"second": [["O"] * len(tags) for tags in TAGS]})
    first, second = own.refs()
    uri = own.write_predictions(first)
    assert own.write_predictions(first, run_id="second", day=3) == uri
    assert own.write_predictions(second) != uri
    assert len(list(Path(own.results, "predictions").rglob("*.parquet"))) == 2


def test_metrics_rows_identify_the_scored_predictions(bench: Callable[..., Bench]) -> None:
    own = bench()
    (ref,) = own.refs()
    uri = own.write_metrics(ref)
    assert own.write_metrics(ref) == uri, "a retry writes the same"
    found = read_results(own.results, "metrics").to_pylist()
    known = {
        "run_id": "first",
        "attempt": 1,
        "artifact_id": own.artifact.artifact_id,
        "model_sha256": own.artifact.model_sha256,
        "model": "tiny",
        "dataset": "own",
        "gold": "own",
        "split": "test",
        "words_sha256": ref.words_sha256,
        "gold_sha256": ref.gold_sha256,
        "predictions_digest": own.counted(ref).predictions_digest,
        "dtype": "fp32",
        "backend": "torch",
    }
    assert all(row.items() >= known.items() for row in found)
    assert {row["label"] for row in found if row["level"] == "entity"} == {"overall", "LOC", "PER"}
    assert f1(found)["support"] == 6


def test_a_retry_keeps_the_values_of_custom_metrics(bench: Callable[..., Bench]) -> None:
    own = bench()
    predicted = own.predicted(own.refs()[0])
    uris = []
    for seconds in (1.0, 2.0):
        row = ROW | {"metric": "seconds", "value": seconds, "slice": "all", "mode": "custom", "level": "custom"}
        scored = rows.metric_rows(own.run(), predicted, [row | {"label": "overall", "average": "", "status": "ok"}])
        uris += [stored.uri for stored in rows.write_user_metrics(own.run(), predicted, scored)]
    assert uris[0] == uris[1] != own.write_metrics(own.refs()[0])
    assert [row["value"] for row in read_results(own.results, "metrics").to_pylist() if row["mode"] == "custom"] == [1]


def test_the_runs_row_holds_configuration_and_environment(bench: Callable[..., Bench]) -> None:
    own = bench()
    totals = {"evaluated": 1, "cached": 0, "train_s": None, "evaluate_s": 0.5, "score_s": 0.1}
    rows.write_run(own.run(), own.config, totals, "ok")
    (row,) = read_results(own.results, "runs").to_pylist()
    assert Config.model_validate_json(row["configuration"]) == own.config
    assert (row["run_id"], row["flow"], row["outcome"], row["evaluated"]) == ("first", "benchmark", "ok", 1)
    assert all(row[name] for name in ("host", "cpu", "threads", "ram_bytes", "python", "torch", "transformers"))
    assert row["total_s"] is not None


def test_the_newest_complete_run_is_read_and_others_by_their_id(bench: Callable[..., Bench]) -> None:
    own = bench()
    with pytest.raises(InputError, match="hold no scores of a complete run"):
        read_run(own.results)
    (ref,) = own.refs()
    for run_id, day in (("late", 4), ("early", 3), ("killed", 5)):
        own.write_metrics(ref, run_id=run_id, day=day)
        if run_id != "killed":
            rows.write_run(own.run(run_id=run_id, day=day), own.config, {}, "ok")
    assert read_run(own.results).run_id == "late"
    for run_id in ("early", "killed"):
        found = read_run(own.results, run_id)
        assert {row["run_id"] for row in found.metrics} == {run_id}
        assert found.speed == found.memory == []
        assert read_run(own.results, run_id, [("level", "=", "absent")]) == found._replace(metrics=[])
    with pytest.raises(InputError, match="run 'nothing': has no scores; choose among late, early"):
        read_run(own.results, "nothing")


def test_measured_rows_name_their_attempt(tmp_path: Path) -> None:
    known = dict.fromkeys(("artifact_id", "model", "device", "workload", "status"), "x") | {"dtype": "fp32"}
    for attempt in (1, 2):  # the second attempt has the same rows, and writes nothing
        run = run_of(str(tmp_path), attempt=attempt)
        rows.write_measured(run, "x", {"speed": [known], "memory": [known]})
    for table in ("speed", "memory"):
        (row,) = read_results(str(tmp_path), table).to_pylist()
        written = (row["run_date"], row["run_id"], row["started_at"], row["attempt"], row["dtype"])
        assert written == (date(2030, 1, 2), "first", datetime(2030, 1, 2, tzinfo=UTC), 1, "fp32")
