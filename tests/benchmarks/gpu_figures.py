"""Everything that needs a GPU, in at most ten minutes and without the network: `make gpu`.

It runs the tests marked `gpu`, trains and benchmarks a BERT of base size on CoNLLpp (`../shared/data`, else made-up
words), and measures inference beside pipeline() in fp16. If a step fails or reaches its time limit, the others still
run. `var/gpu/` then has a log per step, `figures.json`, and the same figures as a table, `figures.md`.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from corpus_memory import write_corpus

ROOT = Path(__file__).resolve().parents[2]
CONLLPP = ROOT.parent / "shared/data/conllpp"
FOLDER = ROOT / "var/gpu"
WITHIN_S = 600
SPLITS = {"train": ("train.txt", 14_041), "validation": ("valid.txt", 3_250), "test": ("test.txt", 3_453)}
"""The files of CoNLLpp, and their sizes in sentences, which the made-up files have too."""


class Step(NamedTuple):
    """A command whose standard output contains figures or is a log."""

    name: str
    arguments: list[str]
    limit_s: int


def steps(configuration: Path) -> list[Step]:
    """The steps, the most important figures first."""
    nerbench = [sys.executable, "-c", "from nerbench.flows.cli import main; main()"]
    speed = [sys.executable, str(ROOT / "tests/benchmarks/gpu_speed.py")]
    return [
        Step("train and benchmark", [*nerbench, "run", "-c", str(configuration), "--json"], 230),
        Step("inference", [*speed, "--times", "20", "--precision", "fp16", "--json"], 150),
        Step("tests", [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", str(ROOT / "tests/tasks")], 200),
    ]


def configuration(folder: Path, corpus: Path, *, base: dict[str, Any], device: str = "cuda") -> dict[str, Any]:
    """The configuration of a run that trains one model from random weights, without a checkpoint."""
    files = {split: str(corpus / name) for split, (name, _) in SPLITS.items()}
    settings = {"epochs": 5, "learning_rate": 1.0e-4, "batch_tokens": 4096, "vocabulary": 8192, "time_limit_s": 100}
    return {
        "store": str(folder / "artifacts"),
        "results": str(folder / "results"),
        "datasets": [{"name": "corpus", "format": "conll", "files": files}],
        "models": [{"name": "bert-base", "base": base, "device": device, **settings}],
        "benchmark": {"split": "test", "device": device, "dtype": "fp16" if device == "cuda" else "fp32"},
    }


def corpus_in(folder: Path) -> Path:
    """CoNLLpp, or files of made-up words of its size."""
    if CONLLPP.is_dir():
        return CONLLPP
    folder.mkdir()
    for name, sentences in SPLITS.values():
        write_corpus(folder / name, sentences)
    return folder


def run(step: Step, folder: Path, limit_s: float) -> dict[str, Any]:
    """The outcome of a step; its output and its log are in the folder."""
    offline = {"HF_HUB_OFFLINE": "1", "NERBENCH_CACHE": str(folder / "cache")}
    name = folder / step.name.replace(" ", "-")
    started = time.monotonic()
    with name.with_suffix(".out").open("wb") as output, name.with_suffix(".log").open("wb") as log:
        streams: dict[str, Any] = {"stdout": output, "stderr": log}
        child = subprocess.Popen(step.arguments, cwd=ROOT, env=os.environ | offline, start_new_session=True, **streams)
        try:
            status = child.wait(min(step.limit_s, max(limit_s, 1)))
            outcome = "ok" if status == 0 else f"exit status {status}"
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            outcome = f"not finished after {time.monotonic() - started:.0f} s"
    return {"outcome": outcome, "seconds": round(time.monotonic() - started, 1)}


def figures_of(results: Path) -> dict[str, Any]:
    """The headline score, and all rows of time and memory, of the tables of a run."""
    from nerbench import read_results

    wanted = {"slice": "all", "mode": "strict", "label": "overall", "average": "micro", "metric": "f1"}
    filters = [(column, "=", value) for column, value in wanted.items()]
    scores = read_results(str(results), "metrics", columns=["value", "ci_low", "ci_high"], filters=filters)
    tables = {name: read_results(str(results), name).to_pylist() for name in ("runs", "speed", "memory")}
    return {"f1": scores.to_pylist(), **tables}


def json_of(path: Path) -> Any:
    """The last line of a step's output; None if it has no such line."""
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else None


def table(found: dict[str, Any]) -> str:
    """The figures for a page of the documents."""
    rows = [(f"step: {name}", f"{one['outcome']}, {one['seconds']} s") for name, one in found["steps"].items()]
    rows += [("strict F1 on the test split", f"{100 * row['value']:.2f}") for row in found["f1"]]
    rows += [(f"{name} of the run", row[name]) for row in found["runs"] for name in ("train_s", "evaluate_s")]
    rows += [("latency p50, one by one, s", row["p50_s"]) for row in found["speed"]]
    rows += [("peak_device_bytes, one by one", row["peak_device_bytes"]) for row in found["memory"]]
    for model, figures in (found["inference"] or {}).items():
        if isinstance(figures, dict):
            rows += [(f"{model}: {name}", value) for name, value in figures.items()]
    shown = [f"| {name} | {f'{value:.4g}' if isinstance(value, float) else value} |" for name, value in rows]
    title = f"{found['device']}, torch {found['torch']}, commit {found['commit']}, {found['corpus']}"
    return "\n".join([title, "", "| figure | value |", "| --- | --- |", *shown, ""])


def commit() -> str:
    """The commit of this checkout; empty without git."""
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


def main() -> int:
    if not torch.cuda.is_available():
        print(
            f"make gpu: torch {torch.__version__} finds no CUDA device; run it on a machine with one", file=sys.stderr
        )
        return 1
    ends = time.monotonic() + WITHIN_S - 10
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    corpus = corpus_in(FOLDER / "corpus")
    path = FOLDER / "nerbench.yaml"
    path.write_text(yaml.safe_dump(configuration(FOLDER, corpus, base={"model_type": "bert"})))
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "commit": commit(),
        "corpus": "CoNLLpp" if corpus == CONLLPP else "made-up words",
        "steps": {},
    }
    for step in steps(path):
        print(f"{step.name}: at most {step.limit_s} s", flush=True)
        found["steps"][step.name] = run(step, FOLDER, ends - time.monotonic())
        print(f"  {found['steps'][step.name]}", flush=True)
        found |= figures_of(FOLDER / "results") | {"inference": json_of(FOLDER / "inference.out")}
        (FOLDER / "figures.json").write_text(json.dumps(found, indent=1, default=str))
        (FOLDER / "figures.md").write_text(table(found))
    print((FOLDER / "figures.md").read_text())
    return int(any(one["outcome"] != "ok" for one in found["steps"].values()))


if __name__ == "__main__":
    sys.exit(main())
