"""References of models that do not exist, and records of evaluations that never ran."""

from typing import Any

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.inference.evaluation_cache import EvaluationRecord


def artifact_ref(name: str, **fields: Any) -> ArtifactRef:
    """The reference of a model; `fields` replace the values."""
    values: dict[str, Any] = {"artifact_id": "a" * 64, "model_sha256": "b" * 64, "uri": "x", "labels": ("O",)}
    return ArtifactRef(name=name, **values | fields)


def evaluation_record(**fields: Any) -> EvaluationRecord:
    """The record of an evaluation of one word; `fields` replace the values."""
    done: dict[str, Any] = {"key": "0" * 64, "predictions_digest": "unused", "sha256": "0" * 64, "labels": ("O",)}
    counts = {"words": 1, "truncated": 0, "vanished": 0, "ignored_keys": (), "evaluate_s": 1.0}
    return EvaluationRecord(**done | counts | fields)
