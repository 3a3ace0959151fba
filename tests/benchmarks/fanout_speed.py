"""Measures the cost of orchestration for many models with cached predictions, and the lag of the server.

`python tests/benchmarks/fanout_speed.py [--models 100] [--labels 20] [--chunks 1,5,20,100]` writes predictions of so
many models on a corpus of so few words that hardly anything but orchestration takes time, starts a Prefect server with
batched recording (SQLite), and benchmarks them once for each number of cells a task. A cell is one label of one model;
a task never scores labels of two models, so more cells than labels change nothing. The rows of a label are computed
once, and are the same for every model. Nothing is compared with earlier runs, which takes additional time.

- *work*: the same functions called without Prefect, in the same process before the flow, seconds
- *flow*: the flow, from its call to its end; *ms a cell*: (flow − work) / cells, by the clock and in CPU time
- *lag*: from the end of the flow until the server shows every task run as ended; *server*: its CPU time
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from nerbench.artifacts.storage.open_root import open_root

TESTS = Path(__file__).resolve().parents[1]
BATCHED = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
    "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",
    "UVICORN_WS_PER_MESSAGE_DEFLATE": "false",
}
SENTENCES = 4
PATIENCE_S = 300.0
Row = dict[str, Any]


def prepare(folder: Path, n_models: int, n_labels: int, where: str) -> Any:
    """Write corpus, models and their cached predictions, store and results below `where`; returns the configuration.

    `overall` is one of the labels.
    """
    from tiny_models import save_bert

    from nerbench.artifacts.manifest import Provenance
    from nerbench.artifacts.store import Store
    from nerbench.tasks.config import Config
    from nerbench.tasks.data.corpus_refs import describe
    from nerbench.tasks.data.tag_schemes import tag_vocabulary

    types = [f"T{number:02}" for number in range(n_labels - 1)]
    test = folder / "test.txt"
    test.write_text(
        "".join("".join(f"w{at} B-{kind}\nw O\n" for at, kind in enumerate(types)) + "\n" for _ in range(SENTENCES))
    )
    config = Config.model_validate(
        {
            "store": f"{where}/store",
            "results": f"{where}/results",
            "datasets": [{"name": "own", "files": {"test": str(test)}}],
            "benchmark": {"speed": False, "report": False, "check_reproducibility": False, "device": "cpu"},
        }
    )
    (folder / "config.json").write_text(config.model_dump_json())
    (corpus,) = describe(config, config.datasets[0])
    save_bert(folder / "model", labels=tag_vocabulary(types))
    for number in range(n_models):
        settings = folder / "model" / "config.json"
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"number": number}))
        artifact = Store(config.store).publish(folder / "model", f"m{number:04}", Provenance())
        keep_predictions(config, artifact, corpus, number)
    return config


def keep_predictions(config: Any, artifact: Any, ref: Any, seed: int) -> None:
    """Write the record of an evaluation: the gold with a tenth of its tags wrong."""
    import numpy as np
    import pyarrow.parquet as pq

    from nerbench.artifacts.digests import sha256_file
    from nerbench.tasks.data.corpus_refs import open_corpus
    from nerbench.tasks.inference.evaluation_cache import EvaluationRecord, keep
    from nerbench.tasks.inference.evaluation_key import evaluation_key, settings_of
    from nerbench.tasks.inference.prediction_files import SCHEMA, batch, positions

    corpus, rng = open_corpus(ref), np.random.default_rng(seed)
    names = list(artifact.labels)
    tags = np.array([names.index(tag) for sentence in corpus.tags for tag in sentence], np.int32)
    tags = np.where(rng.random(len(tags)) < 0.1, 0, tags).astype(np.int32)
    (rows,) = positions(corpus, len(corpus.words))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "predictions"
        with pq.ParquetWriter(path, SCHEMA) as writer:
            writer.write_batch(batch(rows, names, tags, np.ones(len(tags), np.float32)))
        record = EvaluationRecord(
            key=evaluation_key(artifact.model_sha256, ref.words_sha256, settings_of(config.benchmark)),
            predictions_digest="unused",
            sha256=sha256_file(path),
            labels=artifact.labels,
            words=len(tags),
            truncated=0,
            vanished=0,
            ignored_keys=(),
            evaluate_s=0.0,
        )
        keep(open_root(config.results), record, path)


class Spent(NamedTuple):
    """Wall-clock and CPU seconds."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> "Spent":
        return cls(time.perf_counter(), time.process_time())

    def since(self, start: "Spent") -> "Spent":
        return Spent(self.wall_s - start.wall_s, self.cpu_s - start.cpu_s)


def work(config: Any, night: int = 1) -> int:
    """The work of the flow's steps for the models, without Prefect; returns the number of cells."""
    from nerbench.artifacts.references import resolve
    from nerbench.tasks.analysis.analysis import analyse
    from nerbench.tasks.data.corpus_refs import describe
    from nerbench.tasks.inference.evaluation_cache import Evaluated, plan
    from nerbench.tasks.results.rows import metric_rows, write_and_count, write_metrics
    from nerbench.tasks.run_identity import Run, utc_now
    from nerbench.tasks.scoring import score_predictions

    name, date = f"night-{night}", f"2030-01-{night:02}"
    run = Run(run_id=name, flow="plain", date=date, started_at=utc_now(), attempt=1, results=config.results)
    (corpus,) = describe(config, config.datasets[0])
    cells = 0
    for artifact in resolve("*@latest", config.store):
        found = plan(artifact, corpus.words_sha256, config.benchmark, config.results)
        assert found.record, "predictions are not cached"
        predicted, counted = write_and_count(run, Evaluated(artifact, corpus, found.record), config)
        labelled = (score_predictions.score_counts(config.results, counted, label, config) for label in counted.labels)
        scored = metric_rows(run, predicted, chain.from_iterable(labelled))
        write_metrics(run, predicted, scored + analyse(run, predicted, config.benchmark).metrics)
        cells += len(counted.labels)
    return cells


def remembered(score_counts: Callable[..., list[Row]]) -> Callable[..., list[Row]]:
    """A cache of rows by label."""
    known: dict[str, list[Row]] = {}

    def score(results: str, counted: Any, label: str, config: Any) -> list[Row]:
        if label not in known:
            known[label] = score_counts(results, counted, label, config)
        return [dict(row) for row in known[label]]

    return score


def measure(folder: Path, chunk: int) -> None:
    """Print the times of plain functions and of the flow as JSON; runs in a separate process."""
    from nerbench.tasks.scoring import score_predictions

    score_predictions.score_counts = remembered(score_predictions.score_counts)
    from nerbench.flows.benchmark import benchmark
    from nerbench.flows.launch import prefect_running
    from nerbench.tasks.config import Config

    config = Config.model_validate_json((folder / "config.json").read_text())
    plain = config.model_copy(update={"results": f"{config.results}-plain-{chunk}"})
    fanned = config.model_copy(update={"results": f"{config.results}-flow-{chunk}"})
    fanned = fanned.model_copy(update={"runner": config.runner.model_copy(update={"cells_per_task": chunk})})
    for copy in (plain, fanned):
        shutil.copytree(config.results, copy.results)
    work(plain)  # imports, and the rows of every label
    shutil.rmtree(plain.results)
    shutil.copytree(config.results, plain.results)
    start = Spent.now()
    cells = work(plain)
    without = Spent.now().since(start)
    start = Spent.now()
    with prefect_running():  # like the command
        summary = benchmark(fanned)
    spent = Spent.now().since(start)
    assert summary["evaluated"] == 0
    print(json.dumps({"cells": cells, "work": without, "flow": spent, "run_id": summary["run_id"]}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--chunks", default="1,5,20,100")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sys.path[:0] = [str(TESTS.parent), str(TESTS)]
    if arguments.measure:
        measure(Path(arguments.measure[0]), int(arguments.measure[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), arguments.models, arguments.labels, [int(one) for one in arguments.chunks.split(",")])


def compare(folder: Path, n_models: int, n_labels: int, chunks: Sequence[int]) -> None:
    """Print the table."""
    from prefect_site import Site

    os.environ |= {"OMP_NUM_THREADS": "1", "NERBENCH_CACHE": str(folder / "cache")}
    prepare(folder, n_models, n_labels, str(folder))
    site = Site(folder, server=BATCHED)
    try:
        site.start_server()
        site.await_server()
        print(f"{n_models} models × {n_labels} labels, one data set")
        print(" | ".join(COLUMNS))
        for chunk in chunks:
            print(" | ".join(row(site, folder, chunk)), flush=True)
    finally:
        site.end()


COLUMNS = (
    *("cells a task", "task runs", "work s", "flow s", "ms a cell", "CPU ms a cell", "lag s"),
    *("server CPU s", "database KB a task run"),
)


def row(site: Any, folder: Path, chunk: int) -> Iterator[str]:
    """One line of the table."""
    cpu_before, database_before = server_cpu_s(site), database_bytes(site)
    command = [sys.executable, __file__, "--measure", str(folder), str(chunk)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=site.env)
    found = json.loads(done.stdout.splitlines()[-1])
    ended = time.perf_counter()
    n_runs = settled(site, found["run_id"])
    lag = time.perf_counter() - ended
    (plain_s, plain_cpu_s), (flow_s, flow_cpu_s), cells = found["work"], found["flow"], found["cells"]
    yield f"{chunk:12}"
    yield f"{n_runs:9}"
    yield f"{plain_s:6.1f}"
    yield f"{flow_s:6.1f}"
    yield f"{1000 * (flow_s - plain_s) / cells:9.2f}"
    yield f"{1000 * (flow_cpu_s - plain_cpu_s) / cells:13.2f}"
    yield f"{lag:5.1f}"
    yield f"{server_cpu_s(site) - cpu_before:12.1f}"
    yield f"{(database_bytes(site) - database_before) / n_runs / 1000:22.1f}"


def server_cpu_s(site: Any) -> float:
    """CPU time of the server and its children."""
    import psutil

    server = psutil.Process(site.running["server"].pid)
    return sum(sum(one.cpu_times()[:2]) for one in [server, *server.children(recursive=True)])


def database_bytes(site: Any) -> int:
    """Size of the server's SQLite database with its log."""
    return sum(file.stat().st_size for file in Path(site.env["PREFECT_HOME"]).glob("prefect.db*"))


def settled(site: Any, run_id: str) -> int:
    """The number of task runs of a flow run, once the server shows all of them as ended and no new one comes."""
    from uuid import UUID

    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterState

    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run_id)]))
    ended = TaskRunFilter(state=TaskRunFilterState.model_validate({"type": {"any_": ["COMPLETED"]}}))
    deadline, seen = time.perf_counter() + PATIENCE_S, -1
    with site.client() as client:
        while True:
            total = count(client, of_run)
            if total == seen == count(client, of_run, ended):
                return total
            assert time.perf_counter() < deadline, "the server does not catch up"
            seen = total
            time.sleep(0.5)


def count(client: Any, flow_run: Any, task_run: Any = None) -> int:
    """Task runs of a flow run."""
    body = {"flow_runs": flow_run.model_dump(mode="json"), "task_runs": task_run and task_run.model_dump(mode="json")}
    return int(client._client.post("/task_runs/count", json=body).json())


if __name__ == "__main__":
    main()
