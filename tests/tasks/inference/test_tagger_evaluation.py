"""Taggers as artifacts: their identity, and predictions that are stored like those of models."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_corpus import write_corpus
from tiny_taggers import CAPITALS, tiny_tagger

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.memoized_reads import read_once
from nerbench.artifacts.references import load_manifest, resolve_one
from nerbench.tasks.config import Config, TaggerConfig
from nerbench.tasks.data.corpus_refs import CorpusRef, describe, open_corpus
from nerbench.tasks.inference import canary
from nerbench.tasks.inference.evaluation_cache import Evaluated, EvaluationPlan, EvaluationRecord, carry_out, plan
from nerbench.tasks.inference.prediction import BLOCK
from nerbench.tasks.inference.tagger_evaluation import SavedTagger, save_tagger
from nerbench.tasks.results.rows import write_and_count
from nerbench.tasks.run_identity import Run, utc_now

OTHERS = {"LOC": "LOC", "ORG": "ORG", "MISC": "MISC"}


class Bench:
    """A corpus of 2,400 sentences (two blocks), and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = {"test": write_corpus(folder / "test.txt", 400)}
        shared = {"store": str(folder / "store"), "results": str(folder / "results")}
        self.config = Config.model_validate(
            shared | {"datasets": [{"name": "own", "files": files}], "benchmark": {"device": "cpu"}}
        )
        self.ref: CorpusRef = describe(self.config, self.config.datasets[0])[0]

    def tagger(self, predict: str = CAPITALS, **config: Any) -> TaggerConfig:
        return tiny_tagger(self.folder, predict, **config)

    def save(self, tagger: TaggerConfig) -> SavedTagger:
        return save_tagger(tagger, self.config.store)

    def plan(self, saved: SavedTagger, *taggers: TaggerConfig, run_id: str | None = None) -> EvaluationPlan:
        words, benchmark = self.ref.words_sha256, self.config.benchmark
        return plan(saved.artifact, words, benchmark, self.config.results, taggers, run_id)

    def evaluate(self, tagger: TaggerConfig, run_id: str | None = None) -> EvaluationRecord:
        saved = self.save(tagger)
        planned = self.plan(saved, tagger, run_id=run_id)
        return carry_out(planned, saved.artifact, open_corpus(self.ref), self.config.results)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("NERBENCH_CODE", str(tmp_path))
    return Bench(tmp_path)


def test_the_manifest_contains_everything_that_predictions_depend_on(bench: Bench) -> None:
    (bench.folder / "prompt.txt").write_text("Find names.")
    init = "self.labels = ['PER']\nself.versions = {'lexicon': '7'}"
    tagger = bench.tagger(
        init=init, options={"size": 3}, files={"prompt": str(bench.folder / "prompt.txt")}, label_map={"PERSON": "PER"}
    )
    artifact, is_new = bench.save(tagger)
    manifest = load_manifest(artifact)
    source = manifest.tagger
    assert is_new
    assert source
    assert (artifact.kind, manifest.labels, manifest.label_map) == (
        "tagger",
        ("O", "B-PER", "I-PER"),
        {"PERSON": "PER"},
    )
    assert (source.adapter, source.options, source.pinned) == ("mine.py:Mine", {"size": 3}, True)
    assert {*source.versions} == {"python", "lexicon"}
    assert source.files[0].name == "prompt.txt"
    assert source.prompt_sha256 == source.files[0].sha256


def test_a_tagger_is_saved_again_only_if_it_changed(bench: Bench) -> None:
    first = bench.save(bench.tagger())
    assert bench.save(bench.tagger()) == SavedTagger(first.artifact, is_new=False)
    changes = ({"options": {"a": 1}}, {"label_map": {"A": "B"}}, {"init": "self.a = 1"}, {"pinned": False})
    found = [bench.save(bench.tagger(**change)) for change in changes]
    assert all(one.is_new for one in found)
    assert len({one.artifact.artifact_id for one in (first, *found)}) == 5
    assert resolve_one("mine@latest", bench.config.store).artifact_id == found[-1].artifact.artifact_id


def test_a_run_that_saves_a_tagger_finds_it_by_its_alias(bench: Bench) -> None:
    with read_once():
        bench.save(bench.tagger())
        bench.save(bench.tagger())
        saved = bench.save(bench.tagger(options={"a": 1}))
        assert saved.is_new
        assert resolve_one("mine@latest", bench.config.store) == saved.artifact


def test_predictions_are_kept_and_found_again(bench: Bench) -> None:
    tagger = bench.tagger()
    record = bench.evaluate(tagger)
    table = pq.read_table(Path(bench.config.results) / record.path)
    assert table["pred"].to_pylist()[:5] == ["B-PER", "B-PER", "O", "B-PER", "O"]
    assert (table.num_rows, record.words, record.labels) == (13_200, 13_200, ("O", "B-PER"))
    assert pq.ParquetFile(Path(bench.config.results) / record.path).num_row_groups == 2
    found = bench.plan(bench.save(tagger), tagger)
    assert (found.state, found.record) == ("cached", record)


def test_cached_predictions_need_no_tagger_and_others_need_the_configured_one(bench: Bench) -> None:
    tagger = bench.tagger()
    record = bench.evaluate(tagger)
    saved = bench.save(tagger)
    assert bench.plan(saved).record == record
    without = bench.plan(saved).model_copy(update={"record": None})
    with pytest.raises(InputError, match="model mine: is a tagger that the configuration does not name; add"):
        carry_out(without, saved.artifact, open_corpus(bench.ref), bench.config.results)


def test_a_tagger_that_differs_from_the_saved_one(bench: Bench) -> None:
    saved = bench.save(bench.tagger())
    changed = bench.tagger(init="self.other = 1", options={"a": 1})
    with pytest.raises(
        InputError, match="has another sha256, options now than when it was saved; save it again: `nerbench train`"
    ):
        carry_out(bench.plan(saved, changed), saved.artifact, open_corpus(bench.ref), bench.config.results)


def test_an_unpinned_tagger_is_cached_for_the_attempts_of_one_run_only(bench: Bench) -> None:
    tagger = bench.tagger(pinned=False)
    record = bench.evaluate(tagger, "r")
    saved = bench.save(tagger)
    assert bench.plan(saved, tagger, run_id="r").record == record
    for run_id in (None, "", "another"):
        assert bench.plan(saved, tagger, run_id=run_id).state == "refresh"
    pinned = bench.tagger()
    assert bench.evaluate(pinned, "r").run_id is None
    run = Run(
        run_id="r", flow="benchmark", date="2030-01-01", started_at=utc_now(), attempt=1, results=bench.config.results
    )
    evaluated = Evaluated(saved.artifact, bench.ref, record)
    assert write_and_count(run, evaluated, bench.config).predicted.pinned is False


def test_a_run_in_between_does_not_change_what_the_next_attempt_scores(bench: Bench) -> None:
    """Otherwise, its rows would differ from those of the first attempt, which are immutable."""
    tagger = bench.tagger(pinned=False)
    saved = bench.save(tagger)
    first = bench.evaluate(tagger, "r")
    bench.evaluate(tagger, "another")
    assert bench.plan(saved, tagger, run_id="r").record == first


def test_the_sentence_is_named_by_its_number_in_the_corpus(bench: Bench) -> None:
    """The 2,101st is in the second block."""
    predict = "self.seen = getattr(self, 'seen', 0)\nfor words in sentences:\n    self.seen += 1\n"
    predict += "    if self.seen == 2101: 1 / 0\n    yield []"
    with pytest.raises(RunFailedError, match=r"ZeroDivisionError.* at sentence 2101 \(Anna Berg visited Oslo \.\)"):
        bench.evaluate(bench.tagger(predict))


def test_scores_use_the_label_map_and_count_types_without_labels(bench: Bench) -> None:
    predict = "for words in sentences: yield [(0, 2, 'PERSON', 0.75)] if words[0] == 'Anna' else []"
    tagger = bench.tagger(predict, init="self.labels = ['PERSON', 'DATE']", label_map={"PERSON": "PER", "DATE": "O"})
    record, saved = bench.evaluate(tagger), bench.save(tagger)
    run = Run(
        run_id="r", flow="benchmark", date="2030-01-01", started_at=utc_now(), attempt=1, results=bench.config.results
    )
    predicted, counted = write_and_count(run, Evaluated(saved.artifact, bench.ref, record), bench.config)
    assert {*counted.labels} == {"overall", "PER", "LOC", "ORG", "MISC"}
    assert (predicted.kind, predicted.n_unmapped, predicted.pinned) == ("tagger", 3, None)
    assert predicted.label_map == '{"DATE":"O","PERSON":"PER"}'


def test_the_canary_notices_a_tagger_that_changed_unnoticed(bench: Bench) -> None:
    lexicon = bench.folder / "lexicon.txt"
    lexicon.write_text("Anna")
    predict = f"names = open({str(lexicon)!r}).read()\n"
    predict += "for words in sentences: yield ['B-PER' if word in names else 'O' for word in words]"
    tagger = bench.tagger(predict)
    record, saved = bench.evaluate(tagger), bench.save(tagger)
    planned = bench.plan(saved, tagger)
    corpus = open_corpus(bench.ref)
    assert planned.record == record
    assert canary.check(saved.artifact, corpus, planned, [1], bench.config.results) == 2400 - BLOCK
    lexicon.write_text("Oslo")
    with pytest.raises(RunFailedError, match="have another tag than their cached predictions"):
        canary.check(saved.artifact, corpus, planned, [0], bench.config.results)


def test_counts_of_an_adapter_are_stored(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    predict = "for words in sentences:\n    self.counts['parse_failures'] += 1\n    yield []"
    record = bench.evaluate(bench.tagger(predict, init="self.counts = {'parse_failures': 0, 'calls': 0}"))
    assert record.counts == {"parse_failures": 2400}
    assert "mine: 2400 answers could not be parsed; they count as no entities" in caplog.text
