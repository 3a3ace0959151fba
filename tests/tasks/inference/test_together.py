"""Inference by several processes gives the same bytes as one process."""

import os
from pathlib import Path

import pytest
import torch
from small_corpus import write_corpus

from nerbench.artifacts.references import resolve
from nerbench.tasks.config import BenchmarkConfig, Config, DatasetConfig
from nerbench.tasks.data.corpus_refs import CorpusRef, describe, open_corpus
from nerbench.tasks.inference import evaluation_key as key_module
from nerbench.tasks.inference.evaluation_cache import (
    EvaluationRecord,
    carry_out,
    plan,
)
from nerbench.tasks.inference.evaluation_key import EvaluationSettings, evaluation_key
from nerbench.tasks.inference.prediction import BLOCK
from nerbench.tasks.inference.prediction_files import n_blocks
from nerbench.tasks.inference.processes import processes_for

SETTINGS = EvaluationSettings(device="auto", precision="fp32", max_length=None, aggregation_strategy="first")
GPUS = 4


@pytest.fixture
def ref(tmp_path: Path) -> CorpusRef:
    """A corpus of three blocks."""
    path = write_corpus(tmp_path / "corpus.txt", 2 * BLOCK // 6 + 10)
    dataset = DatasetConfig(name="own", files={"test": path})
    return describe(Config(datasets=(dataset,)), dataset)[0]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.tasks.inference.loading.resolve_device", lambda device: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: GPUS)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes need two cores")
@pytest.mark.slow
def test_two_processes_predict_the_same_bytes_as_one(
    ref: CorpusRef, tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_module, "threads_of_each", lambda processes: 1)  # in the key
    corpus, artifact = open_corpus(ref), resolve(str(tiny_model_folder), "")[0]
    assert n_blocks(corpus) == 3
    found: list[EvaluationRecord] = []
    seen: list[int] = []
    for processes in (1, 2):
        results = str(tmp_path / str(processes))
        planned = plan(artifact, corpus.words_sha256, BenchmarkConfig(device="cpu", processes=processes), results)
        record = carry_out(planned, artifact, corpus, results, seen.append, ref=ref)
        found.append(record.model_copy(update={"evaluate_s": 0.0}))
    assert found[0] == found[1], "the digest of the predictions, and that of their file"
    assert seen[-1] == corpus.n_words


def test_processes_that_share_a_cpu_have_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    on_cpu = SETTINGS.model_copy(update={"device": "cpu"})
    one, auto, four = (
        evaluation_key("1" * 64, "2" * 64, on_cpu.model_copy(update={"processes": processes}))
        for processes in (1, "auto", 4)
    )
    assert one == auto != four
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert evaluation_key("1" * 64, "2" * 64, on_cpu) == four


@pytest.mark.parametrize(("blocks", "expected"), [(1, 1), (127, 1), (128, 2), (10_000, GPUS)])
def test_auto_takes_the_gpus_that_have_enough_to_do(gpus: None, blocks: int, expected: int) -> None:
    assert processes_for("auto", SETTINGS.device, blocks) == expected
    assert processes_for(3, SETTINGS.device, blocks) == 3


def test_auto_is_one_process_on_a_cpu() -> None:
    assert processes_for("auto", "cpu", 10_000) == 1
