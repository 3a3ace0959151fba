"""Measures the parts of a benchmark without inference: all predictions are cached, so that only orchestration is left.

    python tests/benchmarks/startup.py -c CONFIG [--rounds 3] MODEL…

runs `nerbench benchmark MODEL… --no-speed` so many times after one that fills the cache, each in a separate process,
and prints the median seconds of its parts, the greatest first. A part's seconds are its own: those of parts within it
are taken off. What is left is the interpreter's start, the end of Prefect's server, and all unnamed parts.
"""

import argparse
import functools
import importlib
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

IMPORTED = ("prefect", "torch", "transformers", "pyarrow.dataset", "nerbench.flows.benchmark")
PARTS = {
    "checks before the flow": ("nerbench.flows.preflight", "_check_benchmark"),
    "waiting for Prefect's server": ("nerbench.flows.server", "_wait_until_healthy"),
    "the flow, engine and all else": ("nerbench.flows.benchmark", "benchmark.__class__.__call__"),
    "what references mean": ("nerbench.flows.benchmark", "resolve_models"),
    "what is cached": ("nerbench.flows.benchmark", "evaluate_models"),
    "scores": ("nerbench.flows.benchmark", "score_models"),
    "gate and unchanged models": ("nerbench.flows.benchmark", "hold_to_gate"),
    "the page": ("nerbench.tasks.report.prefect_page", "publish"),
}


class Clock:
    """Seconds of nested parts, each without its inner parts."""

    def __init__(self) -> None:
        self.own: dict[str, float] = defaultdict(float)
        self.inner = [0.0]

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A wrapper that counts the seconds of a function in this thread."""

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            self.inner.append(0.0)
            try:
                return function(*arguments, **options)
            finally:
                took = time.perf_counter() - start
                self.own[name] += took - self.inner.pop()
                self.inner[-1] += took

        return call


def child(arguments: list[str]) -> None:
    """One benchmark in this process; its parts go to stdout as JSON."""
    clock = Clock()
    from nerbench.flows.launch import start_prefect

    clock.timed("starting a process for Prefect's server", start_prefect)()
    for name in IMPORTED:
        clock.timed(f"import {name}", importlib.import_module)(name)
    for part, (module, path) in PARTS.items():
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, clock.timed(part, getattr(owner, name)))
    from nerbench.flows import cli

    command = clock.timed("the command", cli.status_of)

    def status_of(arguments: list[str]) -> int:
        status = command(arguments)
        print(f"\nPARTS {json.dumps(clock.own)}", flush=True)
        return status

    cli.status_of = status_of
    sys.argv = ["nerbench", "benchmark", *arguments, "--no-speed", "--json", "-q"]
    cli.main()


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-c", required=True, dest="config")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("models", nargs="*")
    asked = parser.parse_args()
    command = [sys.executable, __file__, "--child", "-c", asked.config, *asked.models]
    rounds: list[dict[str, float]] = []
    for _ in range(asked.rounds + 1):
        start = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        total = time.perf_counter() - start
        parts = json.loads(done.stdout.rpartition("PARTS ")[2])
        rounds.append(parts | {"(rest)": total - sum(parts.values()), "(all)": total})
    known = {name: median(one.get(name, 0.0) for one in rounds[1:]) for name in rounds[1]}
    for name, seconds in sorted(known.items(), key=lambda one: -one[1]):
        print(f"{name:36}{seconds:8.2f} s")


if __name__ == "__main__":
    main()
