"""Simulates the speed gate on this machine's noise: the rate of false alarms, and detection of 20 % slower models.

    python tests/benchmarks/gate_noise.py --model FOLDER [--words FILE] [--measurements 60] [--keep FILE]

Takes the latency sample of a model repeatedly, each time in a separate process, and appends it to a file of JSON lines.
It draws histories from these measurements: a run is any of them, and its second measurement is the one that followed.
It prints the share of histories of 30 runs with a false alarm, the share in which a model that became 1.2 times slower
is detected within two runs, and the share of runs with too few comparable ones.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from nerbench.artifacts.references import resolve_one
from nerbench.tasks.comparison.speed_gate import LATENCY, RATE, same_rate, slowdown
from nerbench.tasks.config import BenchmarkConfig, DatasetConfig, SpeedGateConfig
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.measuring.latency import PASSES, measure

CORPUS = "../shared/data/conllpp/test.txt"
HISTORIES, RUNS, SLOWER = 2000, 30, 1.2
GATE = SpeedGateConfig()
Measured = dict[str, float]


def collect(model: Path, words: str, number: int, keep: Path) -> None:
    """Add measurements to the file."""
    artifact = resolve_one(str(model), "")
    corpus = load_splits(DatasetConfig(name="words", files={"test": words}))["test"]
    for _ in range(number):
        (row,) = measure(artifact, corpus, BenchmarkConfig(device="cpu"), PASSES)["speed"]
        with keep.open("a") as lines:
            print(json.dumps({name: row[name] for name in (LATENCY, RATE, "background_cores")}), file=lines)


def judged(window: Sequence[Measured], current: Measured, again: Measured, factor: float = 1.0) -> bool | None:
    """Whether the gate fails a run; None with too few earlier runs. `again` is the second measurement if needed."""
    seconds = [current[LATENCY] * factor, again[LATENCY] * factor]
    for run, looks in ((current, seconds[:1]), (min(current, again, key=lambda one: one[LATENCY]), seconds)):
        comparable = [one[LATENCY] for one in window if same_rate(one, run)][-GATE.runs :]
        found = slowdown(comparable, min(looks), margin=GATE.slowdown / 100, confidence=GATE.confidence)
        if found is None or not found.is_suspicious:
            return None if found is None else False
    return True


def simulate(runs: Sequence[Measured], random: np.random.Generator) -> dict[str, float]:
    """The shares over many histories."""
    alarms = caught = silent = 0
    before = 3 * GATE.runs
    for _ in range(HISTORIES):
        at = random.integers(0, len(runs) - 1, before + RUNS)
        drawn, following = [runs[i] for i in at], [runs[i + 1] for i in at]
        verdicts = [judged(drawn[:number], drawn[number], following[number]) for number in range(before, before + RUNS)]
        alarms += True in verdicts
        silent += verdicts.count(None)
        caught += any(
            judged(drawn[:number], drawn[number], following[number], SLOWER) for number in (before, before + 1)
        )
    return {
        "false alarms": alarms / HISTORIES,
        "detected": caught / HISTORIES,
        "runs without a verdict": silent / HISTORIES / RUNS,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--words", default=CORPUS)
    parser.add_argument("--measurements", type=int, default=60)
    parser.add_argument("--keep", type=Path, default=Path("var/gate_noise.jsonl"))
    arguments = parser.parse_args()
    arguments.keep.parent.mkdir(parents=True, exist_ok=True)
    if arguments.model:
        collect(arguments.model, arguments.words, arguments.measurements, arguments.keep)
    runs = [json.loads(line) for line in arguments.keep.read_text().splitlines()]
    for name, unit in ((LATENCY, 1e3), (RATE, 1e-9)):
        values = sorted(unit * run[name] for run in runs)
        low, high = quantiles(values, n=20)[0], quantiles(values, n=20)[-1]
        print(f"{name}: median {median(values):.2f}, 5 to 95 %: {low:.2f} … {high:.2f} ({len(values)} measurements)")
    for name, share in simulate(runs, np.random.default_rng(0)).items():
        print(f"{name}: {share:.1%}")


if __name__ == "__main__":
    main()
