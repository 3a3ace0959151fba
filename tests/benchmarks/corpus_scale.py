"""How time and memory of each step grow with the words of a corpus: 1, 10, 100 and 1,000 times CoNLLpp's test split.

    python tests/benchmarks/corpus_scale.py [--times 1,10,100] [--folder FOLDER]

Writes corpora of made-up, distinct sentences (`corpus_memory.py`) to FOLDER, by default a temporary one; a thousand
times takes about 10 GB. Each step runs in a separate process with one thread:

- `evaluate`: from the file to the stored predictions of a narrow BERT
- `score`: predictions that are the gold with a tenth of the tags replaced; the table of predictions, the counts of all
  modes and slices, the scores of all labels with their intervals, and the analyses
- `page`: the report
- `compare`: two such predictions

Prints a Markdown table of CPU seconds and of the peak of memory that the process owns, without mapped files.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from corpus_memory import SENTENCES, TAGS, child, run_alone, status_bytes, write_corpus, write_model

BASE, CANDIDATE = "base", "candidate"
STEPS = ("evaluate", "score", "page", "compare")
DATE = "2030-01-01"
WRONG = 0.1
SAMPLE_S = 0.01
Row = dict[str, Any]


def prepare(folder: Path, times: int) -> Row:
    """Write the corpus, publish two models, and store predictions as theirs."""
    from nerbench.artifacts.manifest import Provenance
    from nerbench.artifacts.store import Store
    from nerbench.tasks.data.corpus_refs import describe

    write_corpus(folder / f"{times}.txt", times * SENTENCES)
    config = configuration(folder, times)
    store = Store(config.store)
    if not (folder / "model").exists():
        write_model(folder / "model")
        store.publish(folder / "model", "model", Provenance())
        settings = folder / "model" / "config.json"
        for name in (BASE, CANDIDATE):
            settings.write_text(json.dumps(json.loads(settings.read_text()) | {"name": name}))
            store.publish(folder / "model", name, Provenance())
    (corpus,) = describe(config, config.datasets[0])
    for seed, name in enumerate((BASE, CANDIDATE)):
        keep_predictions(config, name, corpus, seed)
    return {}


def configuration(folder: Path, times: int) -> Any:
    """The configuration of a benchmark on one corpus."""
    from nerbench.tasks.config import Config

    return Config.model_validate(
        {
            "store": str(folder / "store"),
            "results": str(folder / f"results-{times}"),
            "datasets": [{"name": "made-up", "files": {"test": str(folder / f"{times}.txt")}}],
            "benchmark": {"speed": False, "device": "cpu"},
        }
    )


def keep_predictions(config: Any, name: str, ref: Any, seed: int) -> None:
    """Write the record of an evaluation: the gold, with a share of the tags replaced."""
    import numpy as np
    import pyarrow.parquet as pq

    from nerbench.artifacts.digests import sha256_file
    from nerbench.artifacts.references import resolve_one
    from nerbench.artifacts.storage.open_root import open_root
    from nerbench.tasks.data.arrow_cache import Column
    from nerbench.tasks.data.corpus_refs import open_corpus
    from nerbench.tasks.inference.evaluation_cache import EvaluationRecord, keep
    from nerbench.tasks.inference.evaluation_key import evaluation_key, settings_of
    from nerbench.tasks.inference.prediction import BLOCK
    from nerbench.tasks.inference.prediction_files import SCHEMA, batch, positions

    artifact = resolve_one(name, config.store)
    corpus, rng = open_corpus(ref), np.random.default_rng(seed)
    gold, names = Column.of(corpus.tags).flat, ["O", *TAGS]
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "predictions"
        with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
            for rows in positions(corpus, BLOCK):
                tags = gold[rows.word[0] : rows.word[-1] + 1].to_pylist()
                labels = np.array([names.index(tag) for tag in tags])
                drawn = rng.integers(0, len(names), len(labels))
                labels = np.where(rng.random(len(labels)) < WRONG * (labels > 0), drawn, labels)
                writer.write_batch(batch(rows, names, labels, np.ones(len(labels), np.float32)))
        record = EvaluationRecord(
            key=evaluation_key(artifact.model_sha256, ref.words_sha256, settings_of(config.benchmark)),
            predictions_digest="unused",
            sha256=sha256_file(path),
            labels=tuple(names),
            words=len(gold),
            truncated=0,
            vanished=0,
            ignored_keys=(),
            evaluate_s=0.0,
        )
        keep(open_root(config.results), record, path)


def score(config: Any, name: str) -> Row:
    """Run the steps of a flow that scores one model, and return the CPU seconds of each."""
    from nerbench.artifacts.references import resolve_one
    from nerbench.tasks.analysis.analysis import analyse
    from nerbench.tasks.data.corpus_refs import describe
    from nerbench.tasks.inference.evaluation_cache import Evaluated, plan
    from nerbench.tasks.results.rows import metric_rows, write_metrics, write_predictions, write_run
    from nerbench.tasks.run_identity import Run, utc_now
    from nerbench.tasks.scoring.score_predictions import count_predictions, name_predictions, score_counts

    laps = {"": time.process_time()}
    artifact, results = resolve_one(name, config.store), config.results
    run = Run(run_id=name, flow="benchmark", date=DATE, started_at=utc_now(), attempt=1, results=results)
    (corpus,) = describe(config, config.datasets[0])
    laps["read corpus"] = time.process_time()
    record = plan(artifact, corpus.words_sha256, config.benchmark, results).record
    assert record, "the predictions are not cached"
    named = name_predictions(results, Evaluated(artifact, corpus, record), config.benchmark)
    laps["read predictions"] = time.process_time()
    predicted = write_predictions(run, named, config.benchmark)
    laps["write table"] = time.process_time()
    counted = count_predictions(results, named, config)
    laps["count"] = time.process_time()
    scored = [row for label in counted.labels for row in score_counts(results, counted, label, config)]
    laps["intervals"] = time.process_time()
    analysed = analyse(run, predicted, config.benchmark).metrics
    laps["analyse"] = time.process_time()
    write_metrics(run, predicted, metric_rows(run, predicted, scored) + analysed)
    write_run(run, config, {}, "ok")
    times = list(laps.values())
    return {lap: end - start for lap, start, end in zip([*laps][1:], times, times[1:], strict=False)}


def page(config: Any) -> Row:
    """Build the report on the newest run."""
    from nerbench.tasks.report.report import build

    return {"page_bytes": len(build(config.results).html)}


def compare(config: Any) -> Row:
    """Compare both models."""
    from nerbench.tasks.comparison.compare import Query
    from nerbench.tasks.comparison.compare import compare as compare_runs

    found = compare_runs(f"{BASE}#{BASE}", f"{CANDIDATE}#{CANDIDATE}", config, Query())
    return {"verdict": found.verdict}


@contextmanager
def sampled() -> Iterator[list[int]]:
    """The memory that this process owns, sampled by a thread."""
    seen, ended = [0], Event()

    def look() -> None:
        while not ended.wait(SAMPLE_S):
            seen.append(max(seen.pop(), status_bytes("RssAnon")))

    thread = Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def step(folder: Path, times: int, what: str) -> Row:
    """Run a step in this process."""
    config = configuration(folder, times)
    steps: dict[str, Callable[[], Row]] = {
        "prepare": lambda: prepare(folder, times),
        BASE: lambda: score(config, BASE),
        "score": lambda: score(config, CANDIDATE),
        "page": lambda: page(config),
        "compare": lambda: compare(config),
    }
    started = time.perf_counter()
    with sampled() as seen:
        found = steps[what]()
    return found | {
        "wall_s": time.perf_counter() - started,
        "cpu_s": time.process_time(),
        "own_bytes": max(seen),
        "peak_bytes": status_bytes("VmHWM"),
    }


def measured(folder: Path, times: int, what: str) -> Row:
    """Run a step in a separate process."""
    if what == "evaluate":
        return child(folder, times)
    return run_alone(__file__, "--folder", str(folder), "--times", str(times), "--step", what)


def show(found: dict[int, dict[str, Row]]) -> None:
    """Print a row for each corpus, then one for each part of `score`."""
    print(f"| times | words | {' | '.join(f'{one}, s | MB' for one in STEPS)} |")
    print(f"| --- | ---: | {' | '.join('---: | ---:' for _ in STEPS)} |")
    for times, rows in found.items():
        cells = (f"{rows[one]['cpu_s']:.1f} | {rows[one]['own_bytes'] / 1e6:.0f}" for one in STEPS)
        print(f"| {times} | {rows['evaluate']['words']:,} | {' | '.join(cells)} |")
    laps = [name for name in next(iter(found.values()))["score"] if "_" not in name]
    print(f"\n| times | {' | '.join(f'{one}, s' for one in laps)} |\n| --- | {' | '.join('---:' for _ in laps)} |")
    for times, rows in found.items():
        spent = rows["score"]
        print(f"| {times} | {' | '.join(f'{spent[one]:.2f}' for one in laps)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", default="1,10,100", help="sizes of the corpora, separated by commas")
    parser.add_argument("--folder", type=Path, help="a folder that is kept")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.times.split(",")]
    if arguments.step:
        print(json.dumps(step(arguments.folder, sizes[0], arguments.step)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or Path(scratch)
        folder.mkdir(exist_ok=True)
        found = {}
        for times in sizes:
            # In processes with as many threads as the measured steps: the number is part of an evaluation's key.
            for what in ("prepare", BASE):
                measured(folder, times, what)
            found[times] = {what: measured(folder, times, what) for what in STEPS}
            print(json.dumps({times: found[times]}), file=sys.stderr, flush=True)
    print(f"load average {os.getloadavg()[1]:.1f}\n")
    show(found)


if __name__ == "__main__":
    main()
