"""A manifest and result rows like those of a trained model."""

from datetime import UTC, datetime
from typing import Any

from scored_runs import end_run

from nerbench.artifacts.manifest import ArtifactRef, BaseSource, CodeVersion, CorpusDigest, NamedFile, Provenance
from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.config import Config

CORPORA = tuple(
    CorpusDigest(
        dataset="news",
        split=split,
        words_sha256=digit * 64,
        gold_sha256="f" * 64,
        files=(NamedFile(name=f"{split}.txt", sha256="e" * 64),),
    )
    for split, digit in (("train", "1"), ("validation", "2"))
)
TRAINED = Provenance(
    created_at=datetime(2026, 1, 2, tzinfo=UTC),
    base_model=BaseSource(name="/home/ada/secret-project/minilm", revision=None),
    corpora=CORPORA,
    training={
        "base": "/home/ada/secret-project/minilm",
        "epochs": 3.0,
        "learning_rate": 3e-4,
        "parameters": 22_600_000,
    },
    configuration_sha256="d" * 64,
    run_id="friday",
    seed=0,
    metrics={"validation_f1": 0.91, "validation_loss": 0.1},
    code=CodeVersion(commit="c0ffee", dirty=True),
    versions={"python": "3.11.7", "torch": "2.13.0"},
    hardware={"cpu": "AMD EPYC", "gpu": None, "ram_bytes": 25_000_000_000},
)


def metric(value: float | None, **changes: Any) -> dict[str, Any]:
    """One row of `metrics`; by default, overall strict micro F1."""
    row = {
        "run_id": "monday",
        "started_at": datetime(2026, 1, 3, tzinfo=UTC),
        "attempt": 1,
        "model": "tagger",
        "dataset": "news",
        "split": "test",
        "words_sha256": "3" * 64,
        "gold": "news",
        "gold_sha256": "4" * 64,
        "dtype": "fp32",
        "aggregation": "model",
        "slice": "all",
        "level": "entity",
        "mode": "strict",
        "label": "overall",
        "average": "micro",
        "metric": "f1",
        "value": value,
        "n_gold": 1000,
        "n_documents": 40,
        "status": "ok" if value is not None else "undefined",
    }
    if value is not None:
        row |= {"ci_low": value - 0.02, "ci_high": value + 0.02, "confidence": 0.95}
    return row | changes


def write_metrics(
    config: Config, ref: ArtifactRef, rows: list[dict[str, Any]], date: str = "2026-01-03", *, ended: bool = True
) -> None:
    known = {"artifact_id": ref.artifact_id, "model_sha256": ref.model_sha256}
    key = f"{rows[0]['run_id']}-{ref.artifact_id[:8]}"
    write_table(config.results, "metrics", [row | known for row in rows], date=date, key=key)
    if ended:
        end_run(config.results, date, **{name: rows[0][name] for name in ("run_id", "started_at")})
