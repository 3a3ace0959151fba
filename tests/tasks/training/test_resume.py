"""An interrupted training resumes, and ends with the same weights as an uninterrupted one."""

import json
import math
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from small_corpus import TINY, write_corpus

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import RunFailedError
from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.training import setup, stop_and_resume
from nerbench.tasks.training import trainer as training
from nerbench.tasks.training.finetune import finetune
from nerbench.tasks.training.stop_and_resume import newest_checkpoint


class Killed(BaseException):
    """Simulates a kill: no code may catch it."""


def jobs_in(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Make training jobs of 2 × 9 steps with changed model settings, each in a folder of its own."""
    corpus = write_corpus(tmp_path / "corpus.txt", 12)
    dataset = DatasetConfig(name="own", files={"train": corpus, "validation": corpus})
    settings = {"name": "tiny", "base": TINY, "epochs": 2, "learning_rate": 5e-3, "batch_tokens": 64}

    def make(folder: str, **changes: Any) -> dict[str, Any]:
        model = ModelConfig.model_validate(settings | {"vocabulary": 200, "precision": "fp32"} | changes)
        output = tmp_path / folder / "model"
        output.mkdir(parents=True, exist_ok=True)
        return {
            "model": model.model_dump(mode="json"),
            "dataset": dataset.model_dump(mode="json"),
            "work": str(tmp_path / folder / "checkpoints"),
            "output": str(output),
        }

    return make


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    return jobs_in(tmp_path)


def weights(job: dict[str, Any]) -> str:
    return sha256_file(Path(job["output"]) / "model.safetensors")


def ignore(event: dict[str, Any]) -> None:
    """A listener that ignores events."""


class Finished(NamedTuple):
    """A training that nothing interrupted."""

    result: dict[str, Any]
    weights: str


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """With checkpoints at the ends of epochs alone: how often there is one changes no weight."""
    job = jobs_in(tmp_path_factory.mktemp("uninterrupted"))("whole", checkpoint_s=1e9)
    return Finished(finetune(job, ignore), weights(job))


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """End the training right after a step, like a kill."""
    original = stop_and_resume.Stopping.on_step_end

    def on_step_end(self: Any, args: Any, state: Any, control: Any, **options: Any) -> None:
        if state.global_step == step:
            raise Killed
        original(self, args, state, control, **options)

    monkeypatch.setattr(stop_and_resume.Stopping, "on_step_end", on_step_end)


@pytest.mark.parametrize(
    ("checkpoint_s", "step", "resumed"), [(1e-9, 13, 12), (1e9, 13, 9)], ids=["mid-epoch", "epoch"]
)
def test_a_killed_training_ends_with_the_same_weights(
    job: Any, whole: Finished, monkeypatch: pytest.MonkeyPatch, checkpoint_s: float, step: int, resumed: int
) -> None:
    killed = job("killed", checkpoint_s=checkpoint_s)
    with monkeypatch.context() as patch:
        kill_at(patch, step)
        with pytest.raises(Killed):
            finetune(killed, ignore)
    again = finetune(killed, ignore)
    assert whole.result["resumed_from"] is None
    assert again["resumed_from"] == resumed
    assert again["steps"] == whole.result["steps"] == 18
    assert weights(killed) == whole.weights


def test_a_training_killed_while_it_evaluates_an_epoch_ends_with_the_same_weights(job: Any, whole: Finished) -> None:
    killed = job("killed", checkpoint_s=1e-9)

    def kill(event: dict[str, Any]) -> None:
        if "eval_f1" in event and event["step"] == 9:
            raise Killed

    with pytest.raises(Killed):
        finetune(killed, kill)
    again = finetune(killed, ignore)
    assert again["resumed_from"] == 8, "a checkpoint of step 9 would lack the evaluation"
    assert weights(killed) == whole.weights


def test_a_torn_checkpoint_is_removed_and_the_one_before_taken(tmp_path: Path) -> None:
    for number, complete in ((9, True), (100, True), (101, False)):
        folder = tmp_path / f"checkpoint-{number}"
        folder.mkdir()
        if complete:
            (folder / "trainer_state.json").write_text("{}")
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-100"
    assert not (tmp_path / "checkpoint-101").exists()
    assert newest_checkpoint(tmp_path / "nothing") is None


@pytest.mark.slow
def test_sigterm_ends_training_after_a_checkpoint(job: Any) -> None:
    stopped = job("stopped")
    broadcast = []

    def terminate(event: dict[str, Any]) -> None:
        broadcast.append(event)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(RunFailedError, match=r"stopped at step \d+; run again"):
        finetune(stopped, terminate)
    assert broadcast
    assert newest_checkpoint(Path(stopped["work"])) is not None
    assert finetune(stopped, ignore)["resumed_from"]


@pytest.mark.slow
def test_a_time_limit_keeps_the_best_so_far(job: Any) -> None:
    limited = job("limited", time_limit_s=1e-6, epochs=50)
    result = finetune(limited, ignore)
    assert result["stopped_by"] == "time limit"
    assert result["steps"] < 50
    assert weights(limited)


class Clock:
    """A clock that advances by a second at each reading."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1
        return self.now


@pytest.mark.slow
def test_the_time_limit_covers_all_runs_of_a_training(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_and_resume, "time", Clock())
    settings = {"time_limit_s": 60, "epochs": 50, "checkpoint_s": 1e-9}
    whole, killed = finetune(job("whole", **settings), ignore), job("killed", **settings)
    assert whole["stopped_by"] == "time limit"
    for step in (whole["steps"] // 3, 2 * whole["steps"] // 3):
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            with pytest.raises(Killed):
                finetune(killed, ignore)
    again = finetune(killed, ignore)
    assert again["stopped_by"] == "time limit"
    assert again["resumed_from"] > whole["steps"] // 3
    assert abs(again["steps"] - whole["steps"]) <= 2


@pytest.mark.slow
def test_a_resumed_training_counts_its_seconds_together(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed = job("resumed", checkpoint_s=1e-9)
    with monkeypatch.context() as patch:
        kill_at(patch, 13)
        with pytest.raises(Killed):
            finetune(resumed, ignore)
    kept = json.loads((Path(resumed["work"]) / "checkpoint-12" / "trainer_state.json").read_text())
    earlier = kept["stateful_callbacks"]["Stopping"]["attributes"]["spent_s"]
    result = finetune(resumed, ignore)
    assert result["train_s"] == earlier + result["run_train_s"]
    assert earlier > 0


@pytest.mark.slow
def test_resuming_does_not_reset_early_stopping(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"early_stopping": 2, "learning_rate": 1e-12, "epochs": 30}
    whole, killed = finetune(job("patient", **settings), ignore), job("stopped", **settings)
    with monkeypatch.context() as patch:
        kill_at(patch, whole["steps"] - 2)
        with pytest.raises(Killed):
            finetune(killed, ignore)
    again = finetune(killed, ignore)
    assert (again["stopped_by"], again["steps"]) == ("early stopping", whole["steps"])


def test_a_base_that_changed_since_it_was_planned_is_refused(job: Any, tiny_model_folder: Path) -> None:
    with pytest.raises(RunFailedError, match=r"the base \S+ changed while tiny was prepared; run again"):
        finetune(job("moved", base=str(tiny_model_folder)) | {"base_sha256": "0" * 64}, ignore)


@pytest.mark.slow
def test_early_stopping_ends_training_without_progress(job: Any) -> None:
    result = finetune(job("early", early_stopping=1, learning_rate=1e-12, epochs=30), ignore)
    assert result["stopped_by"] == "early stopping"
    assert result["steps"] < 30 * 9


def test_a_loss_that_is_not_a_number_stops_the_training(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = setup.build

    def poisoned(*arguments: Any) -> Any:
        base = original(*arguments)
        base.network.classifier.bias.data.fill_(math.nan)
        return base

    monkeypatch.setattr(setup, "build", poisoned)
    with pytest.raises(RunFailedError, match="the loss is nan at step 1; lower learning_rate"):
        finetune(job("nan"), ignore)


OUT_OF_MEMORY = RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")


@pytest.mark.slow
def test_batches_that_do_not_fit_are_halved_and_steps_learn_from_as_much(
    job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = training.TaggerTrainer.training_step

    def limited(self: Any, model: Any, inputs: Any, *rest: Any, **options: Any) -> Any:
        if inputs["input_ids"].numel() > 32:
            raise OUT_OF_MEMORY
        return original(self, model, inputs, *rest, **options)

    monkeypatch.setattr(training.TaggerTrainer, "training_step", limited)
    made = job("halved")
    result = finetune(made, ignore)
    assert (result["batch_tokens"], result["gradient_accumulation"]) == (32, 2)
    monkeypatch.setattr(training.TaggerTrainer, "training_step", original)
    assert finetune(made, ignore)["batch_tokens"] == 32  # like a resumed training


@pytest.mark.slow
def test_insufficient_memory_is_one_line_with_a_remedy(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any, **__: Any) -> None:
        raise OUT_OF_MEMORY

    monkeypatch.setattr(training.TaggerTrainer, "training_step", exhausted)
    with pytest.raises(RunFailedError, match=r"^out of memory even with batch_tokens 8; give a smaller max_length"):
        finetune(job("memory"), ignore)


@pytest.fixture(autouse=True)
def _sigterm_as_it_was() -> Any:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_the_working_folder_is_not_the_artifact(job: Any) -> None:
    made = job("clean")
    finetune(made, ignore)
    assert not {p.suffix for p in Path(made["output"]).iterdir()} & {".bin", ".pt", ".pth"}
    shutil.rmtree(made["work"])
