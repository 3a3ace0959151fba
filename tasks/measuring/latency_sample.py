"""The parent's side of the latency sample: one child a model, its rows written as they come, held to the speed gate."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import load_manifest, materialise
from nerbench.tasks.child_process import run_child
from nerbench.tasks.comparison import speed_gate
from nerbench.tasks.config import BenchmarkConfig, SpeedGateConfig, TaggerConfig
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.measuring import tagger_latency
from nerbench.tasks.measuring.tables import first_sentences, latency_rows
from nerbench.tasks.results.rows import write_measured
from nerbench.tasks.runs import Run

Row = dict[str, Any]
PASSES = 8
"""Over the sentences, where the latency is judged: so long that a disturbance of seconds does not reach all of them."""


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
    Beside taggers, a model is also measured as they are. A tagger has no speed gate.
    """
    if artifact.kind == "tagger":
        config = next((one for one in taggers if one.name == artifact.name), None)
        rows = tagger_latency.measure_tagger(artifact, config, corpus, benchmark)
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
        beside = tagger_latency.measure_model(artifact, corpus, benchmark)
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
    return latency_rows(artifact, load_manifest(artifact), measured, benchmark.dtype, corpus.name)
