"""Training as in flows: in a child process, into a folder that is then published."""

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from small_corpus import TINY, write_corpus
from tiny_models import save_bert

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import CorpusError, CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.manifest import BaseSource
from nerbench.artifacts.references import resolve
from nerbench.artifacts.store import Store
from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.training import launch as training
from nerbench.tasks.training.launch import TrainedModel, base_source, plan_training, publish, train

TYPES = ("LOC", "MISC", "ORG", "PER")
BATCHES = {"batch_tokens": 512, "gradient_accumulation": 2}
GOLDEN = {"sentences": 1, "limit": 1, "pieces": [], "logits": []}
SETTINGS = {"epochs": 12, "learning_rate": 5e-3, "batch_tokens": 128, "vocabulary": 200, "precision": "fp32"}


class Training(NamedTuple):
    model: ModelConfig
    dataset: DatasetConfig
    trained: TrainedModel
    events: list[dict[str, Any]]


def own_dataset(folder: Path) -> DatasetConfig:
    """Sixty sentences for training and validation."""
    path = write_corpus(folder / "corpus.txt", 10)
    return DatasetConfig(name="own", files={"train": path, "validation": path})


def own_model(**changes: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": "tiny", "base": TINY} | SETTINGS | changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Training:
    folder = tmp_path_factory.mktemp("training")
    model, dataset = own_model(), own_dataset(folder)
    events: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NERBENCH_CACHE", str(folder / "cache"))
        return Training(model, dataset, train(plan_training(model, dataset), events.append), events)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_model_learns_its_corpus(finished: Training) -> None:
    assert finished.trained.provenance.metrics["validation_f1"] > 0.9


def test_steps_and_evaluations_are_reported_in_order(finished: Training) -> None:
    steps = [event["step"] for event in finished.events]
    assert steps == sorted(steps)
    assert {event["event"] for event in finished.events} == {"log"}
    assert sum("eval_f1" in event for event in finished.events) == 12
    assert all(0 < event["step"] <= event["steps"] for event in finished.events)


def test_the_folder_contains_only_a_model(finished: Training) -> None:
    files = {path.name: path for path in Path(finished.trained.folder).iterdir()}
    assert set(files) == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o644}
    labels = json.loads(files["config.json"].read_text())["id2label"]
    assert labels == {str(i): tag for i, tag in enumerate(["O", *(f"{p}-{t}" for t in TYPES for p in "BI")])}


def test_the_provenance_is_complete(finished: Training) -> None:
    known = finished.trained.provenance
    splits = load_splits(finished.dataset)
    assert [(c.split, c.words_sha256, c.gold_sha256) for c in known.corpora] == [
        (split, splits[split].words_sha256, splits[split].gold_sha256) for split in ("train", "validation")
    ]
    assert known.base_model is None
    source = Path(finished.dataset.files["train"])
    assert [[file.model_dump() for file in c.files] for c in known.corpora] == [
        [{"name": "corpus.txt", "sha256": sha256_file(source)}]
    ] * 2
    assert known.train_s == finished.trained.train_s
    assert known.configuration_sha256
    assert known.seed == 0
    assert known.training.items() >= ({**SETTINGS, "base": TINY, "window": 64}).items()
    assert "max_length" not in known.training
    assert {"steps", "parameters", "threads", "device", "train_s"} <= set(known.training)
    assert known.loss_curve
    assert all("step" in entry and ("loss" in entry or "eval_f1" in entry) for entry in known.loss_curve)
    assert {"python", "torch", "transformers", "tokenizers"} <= set(known.versions)
    assert known.hardware["cpu"]
    assert known.hardware["threads"] >= 1
    assert known.created_at is not None
    assert finished.trained.train_s > 0
    assert TrainedModel.model_validate_json(finished.trained.model_dump_json()) == finished.trained


@pytest.mark.slow
def test_a_wrong_request_found_in_the_child_keeps_its_class(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no setting hiden_size"):
        train(plan_training(own_model(base={**TINY, "hiden_size": 3}), own_dataset(tmp_path)), print)


def test_a_corpus_without_validation_starts_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "run_child", None)
    dataset = DatasetConfig(name="own", files={"train": write_corpus(tmp_path / "corpus.txt", 1)})
    with pytest.raises(CorpusError, match="no validation split"):
        train(plan_training(own_model(), dataset), print)


def test_a_trained_model_predicts_the_same_after_loading(finished: Training) -> None:
    golden = finished.trained.golden
    assert golden is not None
    load_tagger(Path(finished.trained.folder), device=torch.device("cpu"), golden=golden)
    other = golden.model_copy(update={"logits": golden.logits[::-1], "pieces": golden.pieces})
    with pytest.raises(CorruptArtifactError, match="its outputs differ from those at publication"):
        load_tagger(Path(finished.trained.folder), device=torch.device("cpu"), golden=other)


def test_a_base_folder_is_known_by_its_files(
    tiny_model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(tiny_model_folder, tmp_path / "base")
    said = {"metrics": {}, "loss_curve": [], "train_s": 1.0, "run_train_s": 1.0, "golden": GOLDEN, **BATCHES}
    monkeypatch.setattr(training, "run_child", lambda *_, **__: said)
    trained = train(plan_training(own_model(base=str(folder)), own_dataset(tmp_path)), print)
    (ref,) = resolve(str(folder), "memory://none")
    assert trained.provenance.base_model == BaseSource(name=str(folder), sha256=ref.model_sha256)
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}')
    with pytest.raises(UnsafeArtifactError, match="auto_map"):
        train(plan_training(own_model(base=str(folder)), own_dataset(tmp_path)), print)


def test_a_base_of_the_hub_is_known_by_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = []

    def child(module: str, job: dict[str, Any], **_: Any) -> dict[str, Any]:
        jobs.append(job)
        return {"metrics": {}, "loss_curve": [], "train_s": 2.0, "run_train_s": 1.0, "golden": GOLDEN, **BATCHES}

    monkeypatch.setattr(training, "run_child", child)
    monkeypatch.setattr(
        "nerbench.artifacts.hub_models.resolve", lambda model, revision: f"commit of {model}@{revision}"
    )
    trained = train(plan_training(own_model(base="org/bert", revision="main"), own_dataset(tmp_path)), print)
    assert trained.provenance.base_model == BaseSource(name="org/bert", revision="commit of org/bert@main")
    assert trained.provenance.training["revision"] == "main"
    assert jobs[0]["model"]["revision"] == "commit of org/bert@main", "the child loads what the plan names"
    assert not {"golden", "run_train_s"} & set(trained.provenance.training)
    assert (trained.train_s, trained.provenance.train_s) == (1.0, 2.0)
    assert {name: trained.provenance.training[name] for name in BATCHES} == BATCHES, "what was used"
    assert "do not fit into memory; trained with batches of 512, 2 a step" in caplog.text


def test_publishing_empties_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: Training
) -> None:
    work = tmp_path / "work"
    (work / "checkpoints").mkdir(parents=True)
    model = work / "model"
    model.mkdir()
    for path in Path(finished.trained.folder).iterdir():
        os.link(path, model / path.name)
    store = Store(str(tmp_path / "store"))
    artifact = publish(finished.trained.model_copy(update={"folder": str(model)}), store.url, "run-7")
    assert not work.exists()
    manifest = store.manifest(artifact)
    assert manifest.provenance == finished.trained.provenance.model_copy(update={"run_id": "run-7"})
    assert manifest.golden == finished.trained.golden
    assert manifest.labels[0] == "O"


def test_a_base_that_is_linked_is_known_by_its_content(tiny_model_folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "base"
    linked.mkdir()
    for path in tiny_model_folder.iterdir():
        (linked / path.name).symlink_to(path)
    (ref,) = resolve(str(tiny_model_folder), "memory://none")
    assert base_source(own_model(base=str(linked))) == BaseSource(name=str(linked), sha256=ref.model_sha256)


def test_two_bases_at_one_path_have_two_folders(tmp_path: Path) -> None:
    dataset, base = own_dataset(tmp_path), tmp_path / "base"
    plans = []
    for seed in (1, 2, 1):
        save_bert(base, seed=seed)
        plans.append(plan_training(own_model(base=str(base)), dataset))
    assert plans[0] == plans[2]
    assert plans[0].work != plans[1].work


def test_two_commits_of_one_branch_have_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, commits = own_dataset(tmp_path), iter(["1", "2"])
    monkeypatch.setattr("nerbench.artifacts.hub_models.resolve", lambda *_: next(commits))
    first, second = (plan_training(own_model(base="org/bert"), dataset) for _ in range(2))
    assert first.work != second.work


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_in_every_process(tmp_path: Path, finished: Training) -> None:
    again = train(plan_training(finished.model, own_dataset(tmp_path)), print)
    first, second = (sha256_file(Path(t.folder) / "model.safetensors") for t in (finished.trained, again))
    assert first == second
