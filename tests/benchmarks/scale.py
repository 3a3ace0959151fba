"""How time, memory and requests grow: models, days of history and labels.

    python tests/benchmarks/scale.py [run] [tables] [labels] [--models 1000] [--days 60] [--today 20] [--rounds 3]

Each part prints a Markdown table; by default all parts run, small. `--models 10000 --days 365 --today 100` gives
the figures of docs/explanation/performance.md. Seconds are those of the clock and of the processor, of a process and
its children.

- `run`: a benchmark of some models from cached predictions, without any history, with history in one file a day, and
  with history in small files: those of today's models, and for every other model a link to one of them
- `tables`: `results show`, `history` and `report` over the compacted history
- `labels`: counts and intervals of 900,000 words with 14 slices
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, NamedTuple

TESTS = Path(__file__).resolve().parents[1]
NIGHTLY = "benchmark-nightly@{}T02:00:00.000000+00:00"
PER_RUN = ("metrics", "runs", "gate")
"""Tables of which every run writes a part."""
LABELS = 5
PARTS = ("run", "tables", "labels")
Row = dict[str, Any]


class Spent(NamedTuple):
    """What a process and its children took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def spent(*command: str) -> Spent:
    """Run a command to its end."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        wall_s = time.perf_counter() - start
        if status:
            errors.seek(0)
            raise SystemExit(errors.read().decode())
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def nerbench(*arguments: str) -> Spent:
    return spent(sys.executable, "-m", "nerbench.flows.cli", *arguments)


def line(*cells: object) -> None:
    print("| " + " | ".join(f"{one:.2f}" if isinstance(one, float) else str(one) for one in cells) + " |", flush=True)


def heading(*cells: str) -> None:
    line(*cells)
    line(*("---" for _ in cells))


class History(NamedTuple):
    """Earlier days, in a folder of results."""

    models: int
    days: int
    until: date
    """Today."""

    @property
    def dates(self) -> list[date]:
        return [self.until - timedelta(days=back) for back in range(1, self.days + 1)]

    def write(self, results: Path, today: Sequence[Row], run: Row, *, packed: bool) -> None:
        """Write a headline row for each model and day: the rows of today's models, and copies under other names."""
        import pyarrow as pa

        from nerbench.artifacts.tables.parquet import as_table

        others = self.models - len(today)
        copies = [today[number % len(today)] | other(number) for number in range(others if packed else 0)]
        rows = as_table("metrics", [*today, *copies], self.until.isoformat())
        for day in self.dates:
            run_id, started = NIGHTLY.format(day), datetime(day.year, day.month, day.day, 2, tzinfo=UTC)
            same = {"run_id": run_id, "started_at": started, "run_date": day}
            of_day = rows
            for name, value in same.items():
                column = pa.repeat(pa.scalar(value, rows.schema.field(name).type), len(rows))
                of_day = of_day.set_column(rows.column_names.index(name), rows.schema.field(name), column)
            (write_packed if packed else write_small)(results, of_day, len(today), others)
            write_run(results, run | {"run_id": run_id, "started_at": started}, day)


def other(number: int) -> Row:
    """The columns that identify the rows of a model; digests and scores are not easily compressed."""
    model, score = f"other-{number:05}", Random(number).random()
    columns = ("artifact_id", "model_sha256", "predictions_digest")
    digests = {column: hashlib.sha256(f"{model} {column}".encode()).hexdigest() for column in columns}
    return digests | {"model": model, "value": score, "ci_low": score - 0.01, "ci_high": score + 0.01}


def write_run(results: Path, row: Row, day: date) -> None:
    from nerbench.artifacts.tables.tables import table_key, write_table

    kept = {name: value for name, value in row.items() if name != "run_date" and value is not None}
    write_table(str(results), "runs", [kept], date=day.isoformat(), key=table_key(row["run_id"], "runs", "1"))


def keys_of(rows: Any) -> list[str]:
    from nerbench.tasks.scoring.stored_predictions import metrics_key

    named = rows.select(["run_id", "artifact_id", "dataset"]).to_pylist()
    return [metrics_key(**row) for row in named]


def write_packed(results: Path, rows: Any, n_today: int, others: int) -> None:
    """As the compaction leaves a day after its grace."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from nerbench.artifacts.digests import canonical_json, sha256_hex
    from nerbench.artifacts.tables.parquet import as_parquet, serialised
    from nerbench.artifacts.tables.table_files import Day

    day = Day("metrics", 2, rows["run_date"][0].as_py().isoformat())
    rows = rows.sort_by("model")
    data = as_parquet(pq.read_table(pa.BufferReader(serialised("metrics", rows))))
    manifest = {
        "format": "nerbench-compaction/1",
        "number": 1,
        "created_at": "2030-01-01T00:00:00Z",
        "live": "000001.packed",
        "sha256": sha256_hex(data),
        "replaced": [{"key": key, "first_row": at, "rows": 1} for at, key in enumerate(keys_of(rows))],
    }
    for path, content in ((day.published(1), data), (day.manifest(1), canonical_json(manifest))):
        (results / path).parent.mkdir(parents=True, exist_ok=True)
        (results / path).write_bytes(content)


def write_small(results: Path, rows: Any, n_today: int, others: int) -> None:
    """As a run leaves a day that was never compacted; the other models' files are links."""
    from nerbench.artifacts.digests import sha256_hex
    from nerbench.artifacts.tables.parquet import serialised

    folder = results / f"metrics/schema=2/date={rows['run_date'][0].as_py()}"
    folder.mkdir(parents=True)
    files = [folder / f"{key}.parquet" for key in keys_of(rows)]
    for at, file in enumerate(files):
        file.write_bytes(serialised("metrics", rows.slice(at, 1)))
    for number in range(others):
        os.link(files[number % n_today], folder / f"{sha256_hex(f'{folder} {number}'.encode())[:32]}.parquet")


def read_rows(results: Path, table: str, **wanted: Any) -> list[Row]:
    from nerbench.artifacts.tables.tables import read_results

    filters = [(name, "=", value) for name, value in wanted.items()] or None
    return [dict(row) for row in read_results(str(results), table, filters=filters).to_pylist()]


def forget(results: Path, tables: Sequence[str], day: str) -> None:
    """Remove what the runs of a day wrote."""
    for table in tables:
        for top in (results, results / "_compacted"):
            shutil.rmtree(top / table / "schema=2" / f"date={day}", ignore_errors=True)
    shutil.rmtree(results / "reports", ignore_errors=True)


KINDS = {"none": "results", "one file a day": "packed", "small files": "small"}
"""Folders of results by kind of history."""


def prepare(folder: Path, history: History, n_today: int, kinds: Sequence[str]) -> None:
    """Results with some kinds of history, each with the same cached predictions."""
    import fanout_speed

    from nerbench.tasks.scoring.metrics import HEADLINE

    fanout_speed.prepare(folder, n_today, LABELS, str(folder))
    config = json.loads((folder / "config.json").read_text())
    config["benchmark"] = {"speed": False, "report": False, "device": "cpu"}
    (folder / "nerbench.yaml").write_text(
        json.dumps({k: config[k] for k in ("store", "results", "datasets", "benchmark")})
    )
    none = folder / KINDS["none"]
    benchmark(folder, none)
    rows = read_rows(none, "metrics", **HEADLINE)
    (run,) = read_rows(none, "runs")
    forget(none, PER_RUN, history.until.isoformat())
    for kind in kinds:
        shutil.copytree(none, folder / KINDS[kind])
        history.write(folder / KINDS[kind], rows, run, packed=kind == "one file a day")


def benchmark(folder: Path, results: Path) -> Spent:
    return nerbench("benchmark", "-c", str(folder / "nerbench.yaml"), "--results", str(results), "--no-speed", "-q")


def cached_run(folder: Path, history: History, rounds: int) -> None:
    """A run with some models beside the same run without history, in turn."""
    found: dict[str, list[Spent]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, name in KINDS.items():
            found[kind].append(benchmark(folder, folder / name))
            forget(folder / name, PER_RUN, history.until.isoformat())
    heading("history", "seconds", "CPU seconds", "ratio of CPU", "peak MB")
    for kind, ones in found.items():
        ratio = median(one.cpu_s / base.cpu_s for one, base in zip(ones, found["none"], strict=True))
        line(
            kind,
            median(one.wall_s for one in ones),
            median(one.cpu_s for one in ones),
            ratio,
            max(o.peak_mb for o in ones),
        )


def tables(folder: Path, results: Path) -> None:
    """Reading commands over the history."""
    commands = {
        "results show": ("results", "show"),
        "history": ("history", "m0000"),
        "report": ("report", "--force", "-o", str(folder / "report.html")),
    }
    heading("command", "seconds", "CPU seconds", "peak MB")
    for name, command in commands.items():
        line(name, *nerbench(*command, "--results", str(results)))


def labels(sizes: Sequence[int]) -> None:
    """Scoring with intervals, each number of labels in a separate process."""
    heading("labels", "seconds", "CPU seconds", "peak MB")
    for n_labels in sizes:
        line(n_labels, *spent(sys.executable, __file__, "--score", str(n_labels)))


def score_labels(n_labels: int) -> None:
    """Count and score a random corpus, as `count_predictions` and `score_counts` do."""
    from nerbench.artifacts.malloc import trim_malloc
    from nerbench.tasks.scoring import score_predictions
    from nerbench.tasks.scoring.counts import OVERALL
    from nerbench.tasks.scoring.score import score
    from nerbench.tasks.scoring.score_intervals import JackknifeIntervals

    types = tuple(f"T{number:02}" for number in range(n_labels))
    data = count_labels(types)
    trim_malloc()
    counts = score_predictions._counted(data)
    for label in (OVERALL, *types):
        score(counts, label, intervals=JackknifeIntervals(0.95))


def count_labels(types: tuple[str, ...], n_words: int = 900_000, n_slices: int = 14) -> bytes:
    """The file of the counts of a random corpus, counted in parts of CHUNK sentences as in a run."""
    import numpy as np

    from nerbench.tasks.data.arrow_cache import CHUNK
    from nerbench.tasks.data.tag_schemes import tag_vocabulary
    from nerbench.tasks.scoring import score_predictions
    from nerbench.tasks.scoring.counts import count
    from nerbench.tasks.scoring.slices import Slice
    from nerbench.tasks.scoring.tagged_words import TaggedWords
    from nerbench.tasks.statistics.resampling import Units

    rng = np.random.default_rng(0)
    n_tags = len(tag_vocabulary(types))
    gold = np.where(rng.random(n_words) < 0.2, rng.integers(1, n_tags, n_words), 0).astype(np.int32)
    predicted = np.where(rng.random(n_words) < 0.1, rng.integers(0, n_tags, n_words), gold).astype(np.int32)
    sentence = np.arange(n_words) // 24
    units = Units.of(n_sentences=int(sentence[-1]) + 1, n_documents=None)
    parts = (
        TaggedWords(
            types=types,
            units=units,
            gold=gold[start : start + 24 * CHUNK],
            predicted=predicted[start : start + 24 * CHUNK],
            sentence=sentence[start : start + 24 * CHUNK],
            document=None,
        )
        for start in range(0, n_words, 24 * CHUNK)
    )

    def every(step: int) -> Callable[..., Any]:
        return lambda part, found: found.start % (step + 2) == 0

    slices = [Slice(name=f"s{number}", mentions=every(number)) for number in range(n_slices)]
    return score_predictions._written(count(parts, slices))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}")
    for option, default in (("--models", 1000), ("--days", 60), ("--today", 20), ("--rounds", 3)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    parser.add_argument("--score", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]
    if arguments.score:
        score_labels(arguments.score)
        return
    history = History(arguments.models, arguments.days, datetime.now(UTC).date())
    wanted = set(arguments.parts or PARTS)
    if arguments.prepare:  # in a separate process, because the peak of a child begins with the memory of its parent
        kinds = ["one file a day", *(["small files"] if "run" in wanted else [])]
        prepare(Path(arguments.prepare), history, arguments.today, kinds)
        return
    if unknown := wanted - {*PARTS}:
        parser.error(f"{', '.join(unknown)} is none of {', '.join(PARTS)}")
    if wanted & {"run", "tables"}:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            os.environ |= {"NERBENCH_CACHE": f"{name}/cache", "PREFECT_HOME": f"{name}/prefect"}
            spent(sys.executable, __file__, *sys.argv[1:], "--prepare", name)
            print(f"{history.models} models, {history.days} days; {arguments.today} models today")
            if "run" in wanted:
                cached_run(folder, history, arguments.rounds)
            if "tables" in wanted:
                tables(folder, folder / KINDS["one file a day"])
    if "labels" in wanted:
        labels((4, 16, 66))


if __name__ == "__main__":
    main()
