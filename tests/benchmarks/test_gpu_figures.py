"""The parts of `make gpu` that run on a machine without a GPU."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import gpu_figures
import gpu_speed
import pytest
import torch
import yaml
from corpus_memory import sentences, write_corpus
from gpu_figures import Step, configuration, figures_of, json_of, run, steps, table
from small_corpus import TINY

from nerbench.tasks.config import Config


def test_without_a_gpu_it_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_figures.main() == 1
    assert capsys.readouterr().err.splitlines() == [
        f"make gpu: torch {torch.__version__} finds no CUDA device; run it on a machine with one"
    ]


def test_make_has_a_target_for_it() -> None:
    done = subprocess.run(["make", "-n", "gpu"], cwd=gpu_figures.ROOT, capture_output=True, text=True, check=True)
    assert "tests/benchmarks/gpu_figures.py" in done.stdout


def test_the_steps_fit_into_ten_minutes() -> None:
    assert sum(step.limit_s for step in steps(Path("any.yaml"))) <= gpu_figures.WITHIN_S - 10


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    Config.model_validate(configuration(tmp_path, tmp_path, base={"model_type": "bert"}))


def test_a_step_that_fails_or_takes_too_long_does_not_end_the_others(tmp_path: Path) -> None:
    def outcome(code: str, limit_s: float) -> str:
        return str(run(Step("one", [sys.executable, "-c", code], 600), tmp_path, limit_s)["outcome"])

    assert outcome("raise SystemExit(3)", 600) == "exit status 3"
    assert outcome("import signal; signal.pause()", 1).startswith("not finished after")
    assert outcome("print('noise'); print('{\"a\": 1}')", 600) == "ok"
    assert json_of(tmp_path / "one.out") == {"a": 1}
    assert json_of(tmp_path / "other.out") is None


@pytest.mark.slow
def test_everything_but_the_device(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, _ in gpu_figures.SPLITS.values():
        write_corpus(corpus / name, 60)
    path = tmp_path / "nerbench.yaml"
    path.write_text(yaml.safe_dump(configuration(tmp_path, corpus, base=TINY, device="cpu")))
    done = run(steps(path)[0], tmp_path, 600)
    assert done["outcome"] == "ok", (tmp_path / "train-and-benchmark.log").read_text()
    folder = gpu_speed.save_random(tmp_path / "model", "Bert", **TINY | {"max_position_embeddings": 512})
    inference = gpu_speed.measure(folder, list(sentences(60)), "fp32", 1e12, device="cpu")
    assert inference["mfu"] > 0
    assert inference["times_pipeline"] > 0
    found: dict[str, Any] = {"device": "none", "torch": "2", "commit": "abc", "corpus": "made-up words"}
    found |= {"steps": {"train and benchmark": done}, "inference": {"bert-base": inference}}
    shown = table(found | figures_of(tmp_path / "results"))
    for figure in ("strict F1", "train_s", "latency p50", "peak_device_bytes", "bert-base: mfu", "times_pipeline"):
        assert figure in shown, shown
