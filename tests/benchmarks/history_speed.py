"""Measures commands that read many results: 50 models with 400 runs each.

`python tests/benchmarks/history_speed.py [--models 50] [--days 400] [--rows 150]` writes so many files of the table
of scores, with so many rows each, to a temporary folder, compacts them, and prints a table: medians of three runs, each
in a separate process, from its start to its end.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

RUNS = 3
FIRST = date(2020, 1, 1)
COLUMNS = ["run_id", "started_at", "model", "dataset", "gold", "slice", "mode", "label", "average", "metric", "value"]
ONE_NUMBER = [("mode", "=", "strict"), ("label", "=", "overall"), ("average", "=", "micro"), ("metric", "=", "f1")]
READ = "import sys; from nerbench.artifacts.tables.tables import read_results; read_results(sys.argv[1], 'metrics'{})"
READS = {
    "history: one number": READ.format(f", columns={COLUMNS}, filters={ONE_NUMBER}"),
    "history: 11 columns": READ.format(f", columns={COLUMNS}"),
    "history: all columns": READ.format(""),
}


def scores(model: int, day_number: int, n_rows: int) -> Iterator[dict[str, Any]]:
    """The rows of one model in one run: every type and overall, in seven modes."""
    same = {
        "run_id": f"nightly/{FIRST + timedelta(days=day_number)}",
        "aggregation": "model",
        "started_at": datetime(2020, 1, 1, 3, tzinfo=UTC) + timedelta(days=day_number),
        "attempt": 1,
        **dict.fromkeys(("artifact_id", "model_sha256"), f"{model:064x}"),
        **dict.fromkeys(("words_sha256", "gold_sha256"), f"{day_number % 7:064x}"),
        "predictions_digest": f"{model * 10_000 + day_number:064x}",
        "model": f"model-{model:02}",
        **{"dataset": "conllpp", "split": "test", "gold": "conllpp", "dtype": "fp32", "slice": "all"},
        **{"level": "entity", "status": "ok"},
    }
    kinds = [
        (mode, label, average, metric)
        for mode in ("strict", "conlleval", "discard", "exact", "partial", "type", "span")
        for label in ("overall", "LOC", "MISC", "ORG", "PER")
        for average in (("micro", "macro", "weighted") if label == "overall" else ("",))
        for metric in ("precision", "recall", "f1")
    ]
    for number in range(n_rows):
        mode, label, average, metric = kinds[number % len(kinds)]
        value = (model * 7919 + day_number * 104_729 + number * 1_299_709) % 1_000_003 / 1_000_003
        numbers = {"value": value, "tp": number, "n_pred": number + model, "n_gold": 5702, "support": 5702}
        yield same | numbers | {"mode": mode, "label": label, "average": average, "metric": metric}


def write_day(results: str, n_models: int, n_rows: int, day_number: int) -> None:
    from nerbench.artifacts.tables.tables import table_key, write_table

    day = (FIRST + timedelta(days=day_number)).isoformat()
    for model in range(n_models):
        key = table_key(day, f"{model}")
        write_table(results, "metrics", list(scores(model, day_number, n_rows)), date=day, key=key)
    run = {"run_id": f"nightly/{day}", "started_at": datetime(2020, 1, 1, 3, tzinfo=UTC), "flow": "benchmark"}
    write_table(results, "runs", [run | {"outcome": "ok"}], date=day, key=table_key(day))


def seconds(*command: str) -> float:
    """The duration of a process."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    elapsed = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    return elapsed


def measure(results: str, state: str, readers: dict[str, str]) -> None:
    show = (sys.executable, "-m", "nerbench.flows.cli", "results", "show", "--results", results)
    history = (sys.executable, "-m", "nerbench.flows.cli", "history", "model-00", "--results", results)
    commands = {"results show": show, "history": history} | {
        name: (sys.executable, "-c", code, results) for name, code in readers.items()
    }
    n_files = sum(1 for _ in Path(results).glob("metrics/schema=*/date=*/*.parquet"))
    for name, command in commands.items():
        taken = median(seconds(*command) for _ in range(RUNS))
        print(f"{state:24}{n_files:8,}  {name:24}{taken:8.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in (("--models", 50), ("--days", 400), ("--rows", 150)):
        parser.add_argument(option, type=int, default=default)
    wanted = parser.parse_args()
    compact = (sys.executable, "-m", "nerbench.flows.cli", "results", "compact", "--grace", "0", "--results")
    with tempfile.TemporaryDirectory() as results:
        with ProcessPoolExecutor() as pool:
            list(pool.map(partial(write_day, results, wanted.models, wanted.rows), range(wanted.days)))
        print(f"{'':24}{'files':>8}  {'':24}{'seconds':>8}")
        measure(results, "as written", dict(list(READS.items())[:1]))
        print(f"{'packed in':34}{'':24}{seconds(*compact, results):8.2f}", flush=True)
        measure(results, "packed, in grace", READS)
        print(f"{'published, replaced deleted in':34}{'':24}{seconds(*compact, results):8.2f}", flush=True)
        measure(results, "compacted", READS)


if __name__ == "__main__":
    main()
