import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from tiny_models import SENTENCES, save_bert

from artifacts.manifest import ArtifactRef
from artifacts.references import resolve
from tasks import evaluation, inference, modeling
from tasks.config import BenchmarkConfig
from tasks.corpus import Corpus
from tasks.evaluation import EvaluationPlan, EvaluationRecord, EvaluationSettings, carry_out, evaluation_key, plan

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = EvaluationSettings(device="cpu", precision="fp32", window=None, vote="first")
KEYED: dict[str, str] = {"model_sha256": "1" * 64, "words_sha256": "2" * 64}
Plan = Callable[..., EvaluationPlan]


@pytest.fixture
def corpus() -> Corpus:
    words = [*SENTENCES, ["\u200b", "Ada"]]
    return Corpus(
        name="own", split="test", words=words, tags=[["O"] * len(s) for s in words], documents=[0, 0, 1, 1, 2]
    )


@pytest.fixture
def artifact(tiny_model_folder: Path) -> ArtifactRef:
    return resolve(str(tiny_model_folder), "")[0]


@pytest.fixture
def results(tmp_path: Path) -> str:
    return str(tmp_path / "results")


@pytest.fixture
def look_up(artifact: ArtifactRef, corpus: Corpus, results: str) -> Plan:
    def look_up(**changes: Any) -> EvaluationPlan:
        return plan(artifact, corpus.words_sha256, BenchmarkConfig(device="cpu", **changes), results)

    return look_up


@pytest.fixture
def record(look_up: Plan, artifact: ArtifactRef, corpus: Corpus, results: str) -> EvaluationRecord:
    """An evaluation that has been carried out."""
    return carry_out(look_up(), artifact, corpus, results)


def key(**changes: Any) -> str:
    return evaluation_key(**KEYED, settings=SETTINGS.model_copy(update=changes))


def test_the_key_is_the_same_in_every_process() -> None:
    ask = (
        "from tasks.evaluation import *; "
        f"print(evaluation_key(settings=EvaluationSettings(**{SETTINGS.model_dump()!r}), **{KEYED!r}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == key()


@pytest.mark.parametrize("change", [{"precision": "bf16"}, {"window": 64}, {"vote": "max"}, {"vote": "mean"}])
def test_the_key_covers_every_setting(change: dict[str, Any]) -> None:
    assert key(**change) != key()


@pytest.mark.parametrize("name", KEYED)
def test_the_key_covers_model_and_words(name: str) -> None:
    assert evaluation_key(**KEYED | {name: "3" * 64}, settings=SETTINGS) != key()


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (evaluation, "CODE_VERSION", "another"),
        (inference, "BLOCK", 1024),
        (inference, "BATCH_PIECES", {"cpu": 1, "mps": 1, "cuda": 1}),
        (torch, "get_num_threads", lambda: 99),
        (torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS"),
        (evaluation, "version", lambda package: f"99.{package}"),
    ],
)
def test_the_key_covers_code_and_hardware(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, value: object
) -> None:
    before = key()
    monkeypatch.setattr(owner, name, value)
    assert key() != before


def test_devices_of_one_kind_share_predictions() -> None:
    assert (key(device="auto") == key(device="cpu")) is (modeling.resolve_device("auto").type == "cpu")


def test_nothing_is_found_at_first(look_up: Plan) -> None:
    found = look_up()
    assert (found.state, found.record) == ("missing", None)


def test_what_was_inferred_is_found_again(look_up: Plan, record: EvaluationRecord) -> None:
    found = look_up()
    assert (found.state, found.record) == ("cached", record)


def test_settings_that_change_predictions_miss(look_up: Plan, record: EvaluationRecord) -> None:
    assert {look_up(**c).state for c in ({"vote": "max"}, {"window": 32}, {"precision": "bf16"})} == {"missing"}


def test_another_model_or_other_words_miss(
    artifact: ArtifactRef, corpus: Corpus, record: EvaluationRecord, results: str, tmp_path: Path
) -> None:
    benchmark = BenchmarkConfig(device="cpu")
    (other,) = resolve(str(save_bert(tmp_path / "other", seed=1)), "")
    assert plan(other, corpus.words_sha256, benchmark, results).state == "missing"
    words = [["Bob", *corpus.words[0][1:]], *list(corpus.words)[1:]]
    changed = Corpus(name="own", split="test", words=words, tags=corpus.tags, documents=corpus.documents)
    assert plan(artifact, changed.words_sha256, benchmark, results).state == "missing"


def test_the_cached_record_is_returned_without_inference(
    look_up: Plan,
    record: EvaluationRecord,
    artifact: ArtifactRef,
    corpus: Corpus,
    results: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(modeling, "load_tagger", None)
    assert carry_out(look_up(), artifact, corpus, results) == record


def delete(folder: Path) -> None:
    next(folder.glob("*.parquet")).unlink()


def flip_a_byte(folder: Path) -> None:
    (path,) = folder.glob("*.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def tear_the_record(folder: Path) -> None:
    data = (folder / "record.json").read_bytes()
    (folder / "record.json").write_bytes(data[: len(data) // 2])


def swap_the_key(folder: Path) -> None:
    text = (folder / "record.json").read_text()
    (folder / "record.json").write_text(text.replace(folder.name, "0" * 64))


@pytest.mark.parametrize("spoil", [delete, flip_a_byte, tear_the_record, swap_the_key])
def test_altered_predictions_are_said_and_inferred_again(
    look_up: Plan,
    record: EvaluationRecord,
    artifact: ArtifactRef,
    corpus: Corpus,
    results: str,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path], None],
) -> None:
    spoil(Path(results, record.path).parent)
    with caplog.at_level(logging.WARNING):
        found = look_up()
    assert (found.state, found.record) == ("altered", None)
    assert [message for message in caplog.messages if "tiny: " in message and "inferring again" in message]
    again = carry_out(found, artifact, corpus, results)
    assert again.predictions_digest == record.predictions_digest
    assert look_up().state == "cached"


def test_a_refresh_infers_the_same_again(
    look_up: Plan, record: EvaluationRecord, artifact: ArtifactRef, corpus: Corpus, results: str
) -> None:
    found = look_up(refresh=True)
    assert (found.state, found.key, found.record) == ("refresh", record.key, None)
    again = carry_out(found, artifact, corpus, results)
    assert again.model_dump(exclude={"evaluate_s"}) == record.model_dump(exclude={"evaluate_s"})


def test_predictions_are_one_row_a_word(record: EvaluationRecord, corpus: Corpus, results: str) -> None:
    rows = pq.read_table(Path(results, record.path)).to_pylist()
    assert [(row["document"], row["sentence"], row["word"]) for row in rows] == [
        (document, sentence, word)
        for word, (document, sentence) in enumerate(
            (corpus.documents[n], n) for n, words in enumerate(corpus.words) for _ in words
        )
    ]
    assert {row["pred"] for row in rows} <= set(record.labels)
    assert [row["word"] for row in rows if row["score"] is None] == [row["word"] for row in rows][-2:-1]
    assert rows[-2]["pred"] == "O"
    assert all(0 < row["score"] <= 1 for row in rows if row["score"] is not None)


def test_a_record_says_what_was_done(record: EvaluationRecord, corpus: Corpus) -> None:
    assert record.words == corpus.n_words
    assert (record.vanished, record.truncated, record.ignored_keys) == (1, 0, ())
    assert record.evaluate_s > 0


def test_the_digest_does_not_depend_on_blocks_and_progress_is_told(
    look_up: Plan,
    record: EvaluationRecord,
    artifact: ArtifactRef,
    corpus: Corpus,
    results: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "BLOCK", 2)
    told: list[int] = []
    again = carry_out(look_up(), artifact, corpus, results, told.append)
    assert again.key != record.key
    assert again.predictions_digest == record.predictions_digest
    lengths = [len(words) for words in corpus.words]
    assert told == [sum(lengths[:2]), sum(lengths[:4]), sum(lengths)]


def test_an_inference_that_fails_leaves_nothing_behind(
    look_up: Plan, artifact: ArtifactRef, corpus: Corpus, results: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(inference, "BLOCK", 2)
    monkeypatch.setattr(inference, "truncated_words", fail)
    with pytest.raises(RuntimeError, match="broken"):
        carry_out(look_up(), artifact, corpus, results)
    assert look_up().state == "missing"
    assert not list(Path(results).rglob("*.parquet"))
