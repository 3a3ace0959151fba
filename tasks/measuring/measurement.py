"""The parent's side of measuring: one child a model, its rows written as they come."""

from artifacts.manifest import ArtifactRef
from artifacts.references import load_manifest, materialise
from tasks.child import run_child
from tasks.config import BenchmarkConfig
from tasks.corpora.corpus import Corpus
from tasks.results.rows import write_measurement
from tasks.runs import Run

SENTENCES = 200
"""Sentences of the latency sample, the corpus's first, as they come."""


def measure_and_write(run: Run, artifact: ArtifactRef, corpus: Corpus, benchmark: BenchmarkConfig) -> dict[str, str]:
    """Measure one model in a process of its own; returns the locations of its `speed` and `memory` rows."""
    job = {
        "folder": str(materialise(artifact)),
        "sentences": corpus.words[:SENTENCES],
        "device": benchmark.device,
        "precision": benchmark.precision,
        "window": benchmark.window,
    }
    measured = run_child("tasks.measuring.measure", job, what=f"measuring {artifact.name}")
    return write_measurement(run, artifact, load_manifest(artifact), measured, benchmark)
