"""Compare two commits: run the same commands with both, in turn, and print each figure of the old and the new one.

    MINILM=FOLDER python tests/benchmarks/before_after.py --old CHECKOUT [--rounds 5] [--only NAME,NAME] [--seeds 5]

CHECKOUT is a clone of the old commit with its own `.venv`, as its `make test` leaves it. The new one is this checkout.
The figures come from the command line and the result tables alone, so that the layout of the code doesn't matter.

- `evaluate fp32`, `evaluate bf16`: seconds from words in memory to tags in memory, the test split of CoNLLpp
- `train`: seconds of the training of one epoch on a part of CoNLLpp
- `nightly`: seconds of `nerbench benchmark` as a process, predictions cached
- `fan-out`: milliseconds of orchestration for one label of one model (`fanout_speed.py`)
- `memory`: peak megabytes of an evaluation of 4.6 million words (`corpus_memory.py`), once for each commit
- `seeds F1`: mean strict F1 of five seeds of the small training; equal commits give equal numbers

Each round measures the old commit, then the new one. *Ratio* is the median of new/old over the rounds; *spread* is the
old commit's (maximum − minimum) / median. A figure is worse if its ratio exceeds both 1.05 and 1 + spread; F1 is worse
if it is lower. The exit status is 1 if any figure is worse.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "conllpp"
TOLERANCE = 1.05
TRAIN_SENTENCES, VALIDATION_SENTENCES, TEST_SENTENCES = 1_000, 200, 1_000


class Commit:
    """A checkout with an environment, and a folder for its store and results."""

    def __init__(self, checkout: Path, scratch: Path) -> None:
        self.bin = checkout / ".venv" / "bin"
        self.checkout = checkout
        self.scratch = scratch
        scratch.mkdir()

    def run(self, *command: str) -> str:
        """Run a command of the environment in the scratch folder; return its standard output."""
        # An older Prefect cannot start with a database that a newer Prefect has migrated.
        homes = {"NERBENCH_CACHE": str(self.scratch / "cache"), "PREFECT_HOME": str(self.scratch / "prefect")}
        places: dict[str, Any] = {"cwd": self.scratch, "env": os.environ | homes}
        full = [str(self.bin / command[0]), *command[1:]]
        done = subprocess.run(full, **places, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(full)}: exit status {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout

    def nerbench(self, *arguments: str) -> Any:
        """Run `nerbench … --json` with the configuration in the scratch folder."""
        return json.loads(self.run("nerbench", *arguments, "--json"))

    def configure(self, **sections: Any) -> None:
        """Write `nerbench.yaml`; JSON is YAML."""
        fixed = {"store": str(self.scratch / "store"), "results": str(self.scratch / "results")}
        (self.scratch / "nerbench.yaml").write_text(json.dumps(fixed | sections))


def run_row(printed: Any) -> dict[str, Any]:
    """Return the row of the table `runs` that a command wrote."""
    import pyarrow.parquet as pq

    (row,) = pq.read_table(printed["tables"]["runs"][0], partitioning=None).to_pylist()
    return dict(row)


def head_of(path: Path, n_sentences: int, target: Path) -> Path:
    """Copy the first sentences of a CoNLL file."""
    blocks = path.read_text().split("\n\n")
    target.write_text("\n\n".join(blocks[:n_sentences]) + "\n")
    return target


def prepare(commit: Commit, model: Path) -> None:
    """Publish the pretrained encoder with a random head, and write the configuration of the evaluation."""
    commit.configure(
        datasets=[{"name": "conllpp", "files": {"test": str(DATA / "test.txt")}}],
        benchmark={"speed": False, "report": False, "device": "cpu"},
    )
    commit.nerbench("artifacts", "push", str(model), "--name", "encoder")
    commit.nerbench("benchmark", "encoder")


def evaluate(commit: Commit, precision: str) -> float:
    """Return the seconds of one evaluation of the test split."""
    printed = commit.nerbench("benchmark", "encoder", "--refresh", "--set", f"benchmark.precision={precision}")
    return float(run_row(printed)["evaluate_s"])


def nightly(commit: Commit) -> float:
    """Return the seconds of a benchmark from cached predictions, as a process."""
    started = time.perf_counter()
    printed = commit.nerbench("benchmark", "encoder")
    seconds = time.perf_counter() - started
    assert printed["evaluated"] == 0, "the predictions were not cached"
    return seconds


def training(commit: Commit, encoder: Path, seeds: int) -> dict[str, Any]:
    """Train, save and benchmark models on a part of CoNLLpp; return what the command prints."""
    files = {
        "train": str(head_of(DATA / "train.txt", TRAIN_SENTENCES, commit.scratch / "train.txt")),
        "validation": str(head_of(DATA / "valid.txt", VALIDATION_SENTENCES, commit.scratch / "valid.txt")),
        "test": str(head_of(DATA / "test.txt", TEST_SENTENCES, commit.scratch / "test.txt")),
    }
    fresh = Commit(commit.checkout, Path(tempfile.mkdtemp(dir=commit.scratch)) / "training")
    fresh.configure(
        datasets=[{"name": "conllpp", "files": files}],
        models=[
            {"name": f"seed-{seed}", "base": str(encoder), "epochs": 1, "learning_rate": 3e-4, "seed": seed}
            for seed in range(seeds)
        ],
        benchmark={"speed": False, "report": False, "device": "cpu"},
    )
    return dict(fresh.nerbench("run"))


def seeds_f1(commit: Commit, encoder: Path, seeds: int) -> float:
    """Return the mean strict F1 over the seeds."""
    wanted = {"slice": "all", "mode": "strict", "label": "overall", "average": "micro", "metric": "f1"}
    rows = training(commit, encoder, seeds)["metrics"]
    values = {row["model"]: row["value"] for row in rows if wanted.items() <= row.items() and row["value"] is not None}
    return 100 * mean(values[f"seed-{seed}"] for seed in range(seeds))


def fanout(commit: Commit) -> float:
    """Return the milliseconds of orchestration a cell."""
    script = commit.checkout / "tests" / "benchmarks" / "fanout_speed.py"
    printed = commit.run("python", str(script), "--models", "20", "--labels", "20", "--chunks", "20")
    return float(printed.splitlines()[-1].split("|")[4])


def memory(commit: Commit) -> float:
    """Return the peak megabytes of an evaluation of 4.6 million words."""
    script = commit.checkout / "tests" / "benchmarks" / "corpus_memory.py"
    printed = json.loads(commit.run("python", str(script), "--json").splitlines()[-1])
    return float(printed["100"]["peak_bytes"]) / 1e6


def with_head(encoder: Path, target: Path) -> Path:
    """Save a token classifier from the encoder; its head is random, with a fixed seed."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    torch.manual_seed(0)
    labels = ["O", *(f"{prefix}-{label}" for label in ("LOC", "MISC", "ORG", "PER") for prefix in "BI")]
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    AutoModelForTokenClassification.from_pretrained(encoder, num_labels=len(labels), **names).save_pretrained(target)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(target)
    return target


def judge(name: str, old: list[float], new: list[float]) -> bool:
    """Print one figure; return whether it is worse."""
    ratio = median(b / a for a, b in zip(old, new, strict=True))
    spread = (max(old) - min(old)) / median(old)
    worse = ratio < 1 if name.endswith("F1") else ratio > max(TOLERANCE, 1 + spread)
    print(
        f"{name:16} {median(old):10.3f} {median(new):10.3f} {ratio:7.3f} {spread:7.3f} {len(old):6}"
        f"  {'WORSE' if worse else 'ok'}",
        flush=True,
    )
    return worse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", help="figures, separated by commas")
    arguments = parser.parse_args()
    if not os.environ.get("MINILM"):
        raise SystemExit("name a pretrained encoder: MINILM=FOLDER python tests/benchmarks/before_after.py …")
    encoder = Path(os.environ["MINILM"]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        commits = [Commit(arguments.old.resolve(), scratch / "old"), Commit(ROOT, scratch / "new")]
        model = with_head(encoder, scratch / "model")
        for commit in commits:
            prepare(commit, model)
        figures: dict[str, tuple[Callable[[Commit], float], int]] = {
            "evaluate fp32": (lambda commit: evaluate(commit, "fp32"), arguments.rounds),
            "nightly": (nightly, arguments.rounds),
            "train": (lambda commit: float(run_row(training(commit, encoder, 1))["train_s"]), arguments.rounds),
            "fan-out": (fanout, arguments.rounds),
            "memory": (memory, 1),
            "seeds F1": (lambda commit: seeds_f1(commit, encoder, arguments.seeds), 1),
        }
        if " avx512_bf16" in Path("/proc/cpuinfo").read_text():
            figures["evaluate bf16"] = (lambda commit: evaluate(commit, "bf16"), arguments.rounds)
        only = arguments.only.split(",") if arguments.only else list(figures)
        print(f"{'':16} {'old':>10} {'new':>10} {'ratio':>7} {'spread':>7} {'rounds':>6}")
        worse = []
        for name in only:
            measure, rounds = figures[name]
            pairs = [[measure(commit) for commit in commits] for _ in range(rounds)]
            worse.append(judge(name, [pair[0] for pair in pairs], [pair[1] for pair in pairs]))
    sys.exit(int(any(worse)))


if __name__ == "__main__":
    main()
