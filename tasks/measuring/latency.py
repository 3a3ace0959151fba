"""The latency sample of a benchmark: of models in memory, held to the speed gate, and of taggers in their processes.

A model is measured in one child process, and its rows are written as they come. A tagger is measured at the boundary of
its process, and so are models beside it: the same sentences go through the same pipe, so that all numbers compare.
"""

import os
import platform
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import load_manifest, materialise
from nerbench.tasks.child_process import run_child
from nerbench.tasks.comparison import speed_gate
from nerbench.tasks.config import BenchmarkConfig, SpeedGateConfig, TaggerConfig
from nerbench.tasks.config.schema_taggers import ENDPOINTS, STORED_MODEL
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.loading import resolve_device
from nerbench.tasks.inference.tagger_evaluation import started_tagger
from nerbench.tasks.inference.tagger_process import RunningTagger, running_tagger
from nerbench.tasks.measuring.latency_statistics import Amount, summarise
from nerbench.tasks.measuring.speed_rows import first_sentences, sizes
from nerbench.tasks.results.rows import write_measured
from nerbench.tasks.run_identity import Run

Row = dict[str, Any]
BACKEND = "process"
"""The backend of measurements at the boundary of a process."""
WARM_UP = 10
"""Sentences that are tagged before the clock starts."""
BATCH_PASSES = 3
"""How often all sentences are tagged in one request, for the throughput."""
SENTENCES_OF_ENDPOINT = 20
"""Number of sentences for an endpoint, whose calls cost money: once one by one, and once together."""


def measure_process(
    artifact: ArtifactRef, corpus: Corpus, benchmark: BenchmarkConfig, taggers: Sequence[TaggerConfig] = ()
) -> dict[str, list[Row]]:
    """The rows by table of a tagger in its process, or of a stored model in such a process.

    Raises like `started_tagger`.
    """
    if artifact.kind == "tagger":
        config = next((one for one in taggers if one.name == artifact.name), None)
        process = started_tagger(artifact, config)
    else:
        options = {"folder": str(materialise(artifact)), "device": benchmark.device, "dtype": benchmark.dtype}
        window = {"max_length": benchmark.max_length}
        config = TaggerConfig(name=artifact.name, tagger=STORED_MODEL, options=options | window)
        process = running_tagger(config)
    started = time.perf_counter()
    with process as tagger:
        rows = _process_rows(tagger, time.perf_counter() - started, config, corpus, benchmark)
    manifest = load_manifest(artifact)
    rows["memory"][0] |= sizes(manifest if manifest.files else None)
    known = {"artifact_id": artifact.artifact_id, "model": artifact.name}
    return {table: [known | row for row in found] for table, found in rows.items()}


def _process_rows(
    tagger: RunningTagger, load_s: float, config: TaggerConfig | None, corpus: Corpus, benchmark: BenchmarkConfig
) -> dict[str, list[Row]]:
    """The rows without the columns that identify the model, and without its size on disk."""
    is_endpoint = config is not None and config.adapter in ENDPOINTS
    sentences = first_sentences(corpus)[: SENTENCES_OF_ENDPOINT if is_endpoint else None]
    first, warm_up = sentences[:1], sentences[: 0 if is_endpoint else WARM_UP]
    first_call_s, _ = _seconds(tagger, first), _seconds(tagger, warm_up)
    alone = [_seconds(tagger, [words]) for words in sentences]
    together = [_seconds(tagger, sentences) for _ in range(1 if is_endpoint else BATCH_PASSES)]
    known = {
        "device": "network" if is_endpoint else resolve_device(benchmark.device).type,
        "dtype": benchmark.dtype,
        "backend": BACKEND,
        "head": "token",
        "workload": "inference",
        "sequence_length": None,
        "status": "ok",
    }
    words = sum(map(len, [*first, *warm_up, *sentences * (1 + len(together))]))
    of_host = {"host": platform.node(), "processes": 1, "threads": os.cpu_count(), "dataset": corpus.name}
    shared = known | of_host | _price(tagger, config, words)
    amounts = [Amount(1, len(one), 0) for one in sentences]
    whole = [Amount(len(sentences), sum(map(len, sentences)), 0)] * len(together)
    memory = {
        "load_s": load_s,
        "first_call_s": first_call_s,
        "baseline_rss_bytes": tagger.ready.baseline_rss_bytes,
        "peak_rss_bytes": tagger.peak_rss_bytes(),
    }
    return {
        "speed": [
            shared | {"batch_size": 1} | summarise([alone], [amounts]) | {"tokens_per_s": None},
            shared | {"batch_size": len(sentences)} | summarise([together], [whole]) | {"tokens_per_s": None},
        ],
        "memory": [known | {"batch_size": 1} | memory],
    }


def _seconds(tagger: RunningTagger, sentences: Sequence[Sequence[str]]) -> float:
    started = time.perf_counter()
    for _ in tagger.predict(sentences):
        pass
    return time.perf_counter() - started


def _price(tagger: RunningTagger, config: TaggerConfig | None, words: int) -> Row:
    """The price of an endpoint, by the calls that it counted for so many words."""
    if config is None or config.price_per_call is None:
        return {}
    calls = tagger.counts.get("calls", 0)
    cost = 1e6 * config.price_per_call * calls / words if calls else None
    return {"price_per_call": config.price_per_call, "cost_per_million_words": cost}


PASSES = 8
"""Passes over the sentences with a speed gate: enough that a disturbance of seconds does not affect all of them."""


class Measurement(NamedTuple):
    """The measurements of one model."""

    tables: dict[str, str]
    """Locations of its `speed` and `memory` rows, by table."""
    judged: list[Row]
    """Rows of `gate`; none without a speed gate."""


def measure_and_write(  # noqa: PLR0913, PLR0917 - what is measured, and how
    run: Run,
    artifact: ArtifactRef,
    corpus: Corpus,
    benchmark: BenchmarkConfig,
    gate: SpeedGateConfig | None = None,
    taggers: Sequence[TaggerConfig] = (),
) -> Measurement:
    """Measure one model in a separate process, once more if it is slower than in earlier runs, and write the rows.

    The faster one of two measurements is written and judged: a disturbance of only one of them is not due to the model.
    In a run with taggers, a model is also measured like a tagger. A tagger has no speed gate.
    """
    if artifact.kind == "tagger":
        rows = measure_process(artifact, corpus, benchmark, taggers)
        return Measurement(write_measured(run, artifact.artifact_id, rows), [])
    passes = PASSES if gate else 1
    rows = measure(artifact, corpus, benchmark, passes)
    judged: list[Row] = []
    if gate:
        found = speed_gate.compare_runs(run.results, rows["speed"][0], gate, before=run.date)
        if found and found.is_suspicious:
            rows = min(rows, measure(artifact, corpus, benchmark, passes), key=_latency)
            found = speed_gate.compare_runs(run.results, rows["speed"][0], gate, before=run.date)
        judged = [speed_gate.judged(rows["speed"][0], found, gate)]
    if taggers:
        beside = measure_process(artifact, corpus, benchmark)
        rows = {table: [*found, *beside[table]] for table, found in rows.items()}
    return Measurement(write_measured(run, artifact.artifact_id, rows), judged)


def _latency(rows: dict[str, list[Row]]) -> float:
    seconds: float = rows["speed"][0][speed_gate.LATENCY]
    return seconds


def measure(artifact: ArtifactRef, corpus: Corpus, benchmark: BenchmarkConfig, passes: int) -> dict[str, list[Row]]:
    """The rows by table of one measurement, in so many passes over the sentences."""
    job = {
        "folder": str(materialise(artifact)),
        "sentences": first_sentences(corpus),
        "passes": passes,
        "device": benchmark.device,
        "precision": benchmark.dtype,
        "window": benchmark.max_length,
    }
    measured = run_child("nerbench.tasks.measuring.process.measure", job, what=f"measuring {artifact.name}")
    known = {
        "artifact_id": artifact.artifact_id,
        "model": artifact.name,
        "device": measured["device"],
        "dtype": benchmark.dtype,
        "backend": "eager",
        "head": "token",
        "workload": "inference",
        "batch_size": 1,
        "sequence_length": None,
        "status": "ok",
    }
    speed = {"host": platform.node(), "processes": 1, "dataset": corpus.name} | measured["speed"]
    return {"speed": [known | speed], "memory": [known | sizes(load_manifest(artifact)) | measured["memory"]]}
