"""The parent's side of the latency sample: one child a model, its rows written as they come."""

from artifacts.manifest import ArtifactRef
from artifacts.references import load_manifest, materialise
from tasks.child import run_child
from tasks.config import BenchmarkConfig
from tasks.corpora.corpus import Corpus
from tasks.measuring.tables import first_sentences, latency_rows
from tasks.results.rows import write_measured
from tasks.runs import Run


def measure_and_write(run: Run, artifact: ArtifactRef, corpus: Corpus, benchmark: BenchmarkConfig) -> dict[str, str]:
    """Measure one model in a process of its own; returns the locations of its `speed` and `memory` rows."""
    job = {
        "folder": str(materialise(artifact)),
        "sentences": first_sentences(corpus),
        "device": benchmark.device,
        "precision": benchmark.precision,
        "window": benchmark.window,
    }
    measured = run_child("tasks.measuring.process.measure", job, what=f"measuring {artifact.name}")
    rows = latency_rows(artifact, load_manifest(artifact), measured, benchmark.precision, corpus.name)
    return write_measured(run, artifact.artifact_id, rows)
