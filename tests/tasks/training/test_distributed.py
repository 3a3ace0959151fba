"""Two processes on a CPU train the same model as one."""

from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from safetensors.torch import load_file
from small_corpus import TINY, write_corpus

from nerbench.artifacts.errors import RunFailedError
from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.inference import processes
from nerbench.tasks.training.finetune import finetune
from nerbench.tasks.training.launch import TrainedModel, plan_training, train

WITHOUT_DROPOUT = {**TINY, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SETTINGS = {"batch_tokens": 96, "vocabulary": 200, "precision": "fp32", "learning_rate": 5e-3, "device": "cpu"}

two_cores = pytest.mark.skipif(processes._cores() < 2, reason="two processes need two cores")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def dataset(tmp_path: Path) -> DatasetConfig:
    path = write_corpus(tmp_path / "corpus.txt", 8)
    return DatasetConfig(name="own", files={"train": path, "validation": path})


def own_model(**changes: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": "tiny", "base": WITHOUT_DROPOUT} | SETTINGS | changes)


def weights(folder: str | Path) -> dict[str, torch.Tensor]:
    return load_file(Path(folder) / "model.safetensors")


def curve(entries: list[dict[str, float]], key: str) -> list[float]:
    return [entry[key] for entry in entries if key in entry]


def alone(model: ModelConfig, dataset: DatasetConfig, folder: Path) -> dict[str, Any]:
    """The result of one process, trained into `folder`."""
    folder.mkdir()
    job = {"model": model.model_dump(mode="json"), "dataset": dataset.model_dump(mode="json")}
    return finetune(job | {"work": str(folder / "work"), "output": str(folder)}, lambda event: None)


@pytest.mark.slow
@two_cores
def test_two_processes_have_the_loss_curve_and_the_weights_of_one(dataset: DatasetConfig, tmp_path: Path) -> None:
    one = own_model(epochs=10, gradient_accumulation=2)
    expected = alone(one, dataset, tmp_path / "one")
    assert expected["steps"] >= 20
    events: list[dict[str, Any]] = []
    both = train(plan_training(one.model_copy(update={"processes": 2}), dataset), events.append)
    assert (expected["world_size"], both.provenance.training["world_size"]) == (1, 2)
    for key in ("loss", "eval_loss", "eval_f1"):
        found = curve(both.provenance.loss_curve, key)
        assert found == pytest.approx(curve(expected["loss_curve"], key), abs=1e-4)
        assert curve(events, key) == found, "one process alone tells"
    assert len(curve(expected["loss_curve"], "eval_loss")) == 10
    known = weights(tmp_path / "one")
    for name, weight in weights(both.folder).items():
        torch.testing.assert_close(weight, known[name], rtol=0, atol=1e-4, msg=name)
    same = ("steps", "pieces", "parameters", "window", "precision", "gradient_accumulation", "seed")
    broadcast = both.provenance.training
    assert {key: broadcast[key] for key in same} == {key: (one.model_dump() | expected)[key] for key in same}
    assert {path.name for path in Path(both.folder).iterdir()} == {path.name for path in (tmp_path / "one").glob("*.*")}


@two_cores
@pytest.mark.slow
def test_a_killed_process_ends_all_and_the_next_run_resumes(dataset: DatasetConfig, tmp_path: Path) -> None:
    model = own_model(base=TINY, epochs=10, processes=2, checkpoint_s=1e-9)
    whole = train(plan_training(model, dataset), lambda event: None)
    expected = weights(whole.folder)
    interrupted = model.model_copy(update={"name": "again"})
    killed: list[psutil.Process] = []

    def kill_the_second(event: dict[str, Any]) -> None:
        if not killed:
            (agent,) = psutil.Process().children()
            members = [child for child in agent.children() if "spawn_main" in " ".join(child.cmdline())]
            killed.extend([*sorted(members, key=lambda child: child.pid), agent])
            assert len(killed) == 3
            killed[1].kill()

    with pytest.raises(RunFailedError, match=r"process 1 of 2 was killed by SIGKILL"):
        train(plan_training(interrupted, dataset), kill_the_second)
    assert not any(process.is_running() for process in killed)
    again: TrainedModel = train(plan_training(interrupted, dataset), lambda event: None)
    assert again.provenance.training["resumed_from"]
    for name, weight in weights(again.folder).items():
        assert torch.equal(weight, expected[name]), name
