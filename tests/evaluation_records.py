"""Records of evaluations that never ran."""

from typing import Any

from nerbench.tasks.inference.evaluation_cache import EvaluationRecord


def evaluation_record(**fields: Any) -> EvaluationRecord:
    """The record of an evaluation of one word; `fields` replace the values."""
    done: dict[str, Any] = {"key": "0" * 64, "predictions_digest": "unused", "sha256": "0" * 64, "labels": ("O",)}
    counts = {"words": 1, "truncated": 0, "vanished": 0, "ignored_keys": (), "evaluate_s": 1.0}
    return EvaluationRecord(**done | counts | fields)
