import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from full_disk import files_of_at_most
from tiny_models import SENTENCES, save_bert

from nerbench.artifacts.errors import NerbenchError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import resolve
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference import evaluation_cache, hardware
from nerbench.tasks.inference import evaluation_key as key_module
from nerbench.tasks.inference import loading as modeling
from nerbench.tasks.inference import prediction as inference
from nerbench.tasks.inference.evaluation_cache import (
    EvaluationPlan,
    EvaluationRecord,
    carry_out,
    plan,
)
from nerbench.tasks.inference.evaluation_key import EvaluationSettings, evaluation_key

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = EvaluationSettings(device="cpu", precision="fp32", max_length=None, aggregation_strategy="first")
KEYED: dict[str, str] = {"model_sha256": "1" * 64, "words_sha256": "2" * 64}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model, one corpus, and a results folder."""

    artifact: ArtifactRef
    corpus: Corpus
    results: str

    def plan(self, **changes: Any) -> EvaluationPlan:
        benchmark = BenchmarkConfig.model_validate({"device": "cpu"} | changes)
        return plan(self.artifact, self.corpus.words_sha256, benchmark, self.results)

    def carry_out(self, found: EvaluationPlan, on_progress: Callable[[int], None] = print) -> EvaluationRecord:
        return carry_out(found, self.artifact, self.corpus, self.results, on_progress)


@pytest.fixture
def case(tiny_model_folder: Path, tmp_path: Path) -> Case:
    words = [*SENTENCES, ["\u200b", "Ada"]]
    tags = [["O"] * len(sentence) for sentence in words]
    return Case(
        artifact=resolve(str(tiny_model_folder), "")[0],
        corpus=Corpus(name="own", split="test", words=words, tags=tags, documents=[0, 0, 1, 1, 2]),
        results=str(tmp_path / "results"),
    )


@pytest.fixture
def record(case: Case) -> EvaluationRecord:
    """The record of an evaluation."""
    return case.carry_out(case.plan())


def key(**changes: Any) -> str:
    return evaluation_key(**KEYED, settings=SETTINGS.model_copy(update=changes))


@pytest.mark.slow
def test_the_key_is_the_same_in_every_process() -> None:
    ask = (
        "from nerbench.tasks.inference.evaluation_key import *; "
        f"print(evaluation_key(settings=EvaluationSettings(**{SETTINGS.model_dump()!r}), **{KEYED!r}))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(
        [sys.executable, "-c", ask], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == key()


def test_a_key_has_the_names_and_values_of_earlier_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(key_module, "canonical_json", lambda parts: seen.append(parts) or b"")
    changes = {"aggregation_strategy": "average", "max_length": 64}
    evaluation_key("m", "w", SETTINGS.model_copy(update=changes))
    assert seen[0].items() >= {"vote": "mean", "window": "64", "precision": "fp32"}.items()


@pytest.mark.parametrize(
    "change",
    [{"precision": "bf16"}, {"max_length": 64}, {"aggregation_strategy": "max"}, {"aggregation_strategy": "average"}],
)
def test_the_key_covers_every_setting(change: dict[str, Any]) -> None:
    assert key(**change) != key()


@pytest.mark.parametrize("name", KEYED)
def test_the_key_covers_model_and_words(name: str) -> None:
    assert evaluation_key(**KEYED | {name: "3" * 64}, settings=SETTINGS) != key()


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (key_module, "CODE_VERSION", "another"),
        (inference, "BLOCK", 1024),
        (inference, "BATCH_PIECES", {"cpu": 1, "mps": 1, "cuda": 1}),
        (torch, "get_num_threads", lambda: 99),
        (torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS"),
        (key_module, "version", lambda package: f"99.{package}"),
    ],
)
def test_the_key_covers_code_and_hardware(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, value: object
) -> None:
    before = key()
    monkeypatch.setattr(owner, name, value)
    assert key() != before


@pytest.mark.parametrize(("capability", "part"), [("AVX512", None), ("DEFAULT", None), ("AVX2", "torch")])
def test_only_where_gelu_is_computed_otherwise_the_key_has_a_new_part(
    monkeypatch: pytest.MonkeyPatch, capability: str, part: str | None
) -> None:
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(key_module, "canonical_json", lambda parts: seen.append(parts) or b"")
    for module in (key_module, hardware):
        monkeypatch.setattr(module, "processor", lambda: hardware.Processor(capability, 2))
    key()
    assert seen[0].get("gelu") == part


def test_devices_of_one_kind_share_predictions() -> None:
    assert (key(device="auto") == key(device="cpu")) is (modeling.resolve_device("auto").type == "cpu")


def test_nothing_is_found_at_first(case: Case) -> None:
    found = case.plan()
    assert (found.state, found.record) == ("missing", None)


def test_inferred_predictions_are_found_again(case: Case, record: EvaluationRecord) -> None:
    found = case.plan()
    assert (found.state, found.record) == ("cached", record)


def test_predictions_under_the_key_of_torchs_answer_are_found(
    case: Case, record: EvaluationRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if this process had not loaded torch yet, and had derived other properties of the machine."""
    answers = iter([False, False])
    monkeypatch.setattr(hardware, "derived_processor", lambda: hardware.Processor("ABACUS", 99))
    for module in (hardware, evaluation_cache):
        monkeypatch.setattr(module, "is_torch_loaded", lambda: next(answers, True))
    found = case.plan()
    assert (found.state, found.key, found.record) == ("cached", record.key, record)


def test_settings_that_change_predictions_miss(case: Case, record: EvaluationRecord) -> None:
    assert {case.plan(**c).state for c in ({"aggregation_strategy": "max"}, {"max_length": 32}, {"dtype": "bf16"})} == {
        "missing"
    }


def test_another_model_or_other_words_miss(case: Case, record: EvaluationRecord, tmp_path: Path) -> None:
    (other,) = resolve(str(save_bert(tmp_path / "other", seed=1)), "")
    assert replace(case, artifact=other).plan().state == "missing"
    words = [["Bob", *case.corpus.words[0][1:]], *list(case.corpus.words)[1:]]
    assert replace(case, corpus=replace(case.corpus, words=words)).plan().state == "missing"


def test_changed_tags_hit(case: Case, record: EvaluationRecord) -> None:
    tags = [["B-LOC", *case.corpus.tags[0][1:]], *list(case.corpus.tags)[1:]]
    assert replace(case, corpus=replace(case.corpus, tags=tags)).plan().record == record


def test_the_cached_record_is_returned_without_inference(
    case: Case,
    record: EvaluationRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(modeling, "load_tagger", None)
    assert case.carry_out(case.plan()) == record


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


def take_another_record(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("0" * 64))
    text = (folder / "record.json").read_text()
    (folder / "record.json").write_text(text.replace(folder.name, "0" * 64))


@pytest.mark.parametrize("spoil", [delete, flip_a_byte, tear_the_record, take_another_record])
def test_altered_predictions_are_reported_and_inferred_again(
    case: Case,
    record: EvaluationRecord,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Path], None],
) -> None:
    spoil(Path(case.results, record.path).parent)
    with caplog.at_level(logging.WARNING):
        found = case.plan()
    assert (found.state, found.record) == ("altered", None)
    assert [message for message in caplog.messages if "tiny: " in message and "inferring again" in message]
    again = case.carry_out(found)
    assert again.predictions_digest == record.predictions_digest
    assert case.plan().state == "cached"


def test_a_refresh_infers_the_same_again(case: Case, record: EvaluationRecord) -> None:
    found = case.plan(refresh=True)
    assert (found.state, found.key, found.record) == ("refresh", record.key, None)
    again = case.carry_out(found)
    assert again.model_copy(update={"evaluate_s": record.evaluate_s}) == record


def test_predictions_are_one_row_a_word(case: Case, record: EvaluationRecord) -> None:
    rows = pq.read_table(Path(case.results, record.path)).to_pylist()
    assert [(row["document"], row["sentence"], row["word"]) for row in rows] == [
        (document, sentence, word)
        for word, (document, sentence) in enumerate(
            (case.corpus.documents[n], n) for n, words in enumerate(case.corpus.words) for _ in words
        )
    ]
    assert {row["pred"] for row in rows} <= set(record.labels)
    assert [row["word"] for row in rows if row["score"] is None] == [row["word"] for row in rows][-2:-1]
    assert rows[-2]["pred"] == "O"
    assert all(0 < row["score"] <= 1 for row in rows if row["score"] is not None)


def test_a_record_describes_the_evaluation(case: Case, record: EvaluationRecord) -> None:
    assert record.words == case.corpus.n_words
    assert (record.vanished, record.truncated, record.ignored_keys) == (1, 0, ())
    assert record.evaluate_s > 0


def test_the_digest_does_not_depend_on_blocks_and_progress_is_reported(
    case: Case,
    record: EvaluationRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "BLOCK", 2)
    told: list[int] = []
    again = case.carry_out(case.plan(), told.append)
    assert again.key != record.key
    assert again.predictions_digest == record.predictions_digest
    lengths = [len(words) for words in case.corpus.words]
    assert told == [sum(lengths[:2]), sum(lengths[:4]), sum(lengths)]


def test_an_inference_that_fails_leaves_nothing_behind(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([inference.predict_block])

    def fail_later(*arguments: Any, **options: Any) -> Any:
        if (answer := next(answers, None)) is None:
            raise RuntimeError("broken")
        return answer(*arguments, **options)

    monkeypatch.setattr(inference, "BLOCK", 2)
    monkeypatch.setattr(inference, "predict_block", fail_later)
    with pytest.raises(RuntimeError, match="broken"):
        case.carry_out(case.plan())
    assert case.plan().state == "missing"
    assert not list(Path(case.results).rglob("*.parquet"))


def test_a_full_disk_is_reported_and_no_predictions_are_stored(case: Case) -> None:
    said = r"^\S+/predictions\.parquet cannot be written: File too large; make room"
    with files_of_at_most(100), pytest.raises(NerbenchError, match=said):
        case.carry_out(case.plan())
    assert not Path(case.results).exists()
    assert case.carry_out(case.plan()).sha256
