"""Models for sweeps, and the job of a measuring process."""

from pathlib import Path
from typing import Any

from nerbench.tasks.measuring.subjects import Subject, find_subjects

TINY = "{model_type: bert, num_hidden_layers: 1, hidden_size: 32, num_attention_heads: 2, intermediate_size: 64, vocab_size: 99, max_position_embeddings: 64}"  # noqa: E501 - one argument of a command line


def tiny() -> Subject:
    """A model configuration without weights."""
    (subject,) = find_subjects([TINY], "unused")
    return subject


def job(subject: Subject, folder: Path | None = None, **changes: Any) -> dict[str, Any]:
    """The job of a process: one cell of 2 × 8, eager fp32 inference."""
    return {
        "take": "time",
        "folder": str(folder) if folder else None,
        "settings": subject.settings,
        "positions": subject.positions,
        "onnx": None,
        "device": "cpu",
        "window": None,
        "backend": "eager",
        "precision": "fp32",
        "workload": "inference",
        "head": "token",
        "cells": [(2, 8)],
        "sentences": [],
        "iterations": 3,
        "minimum_s": 0.0,
        "timeout_s": 60.0,
        "round": 0,
        "compare": False,
        "multi_process": True,
        **changes,
    }
