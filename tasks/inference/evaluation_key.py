"""The identity of an evaluation: all settings that can change a prediction, and a key made of them."""

import platform
from importlib.metadata import version
from typing import Literal

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.manifest import Kind
from nerbench.tasks.config import BenchmarkConfig, InferenceBackend, InferenceDtype, Section
from nerbench.tasks.inference.backends import check_backend, versions
from nerbench.tasks.inference.hardware import device_name, device_type, fuses_gelu, processor
from nerbench.tasks.inference.processes import threads_of_each

CODE_VERSION = "2"
"""Increase it with every change of the code that may change a prediction."""


TAGGER_CODE_VERSION = "1"
"""The same for predictions of taggers in separate processes."""


class EvaluationSettings(Section):
    """The settings that can change a prediction."""

    device: str
    precision: InferenceDtype
    backend: InferenceBackend = "torch"
    max_length: int | None
    aggregation_strategy: Literal["first", "average", "max"]
    processes: int | Literal["auto"] = 1
    """Number of processes that infer together; on a CPU, each has its share of the threads."""


def settings_of(benchmark: BenchmarkConfig) -> EvaluationSettings:
    """The settings of a benchmark that can change a prediction."""
    same = benchmark.model_dump(include=EvaluationSettings.model_fields.keys() - {"precision"})
    return EvaluationSettings(precision=benchmark.dtype, **same)


def evaluation_key(model_sha256: str, words_sha256: str, settings: EvaluationSettings, kind: Kind = "model") -> str:
    """The cache key: a sha256 of strings, in the terms of earlier releases, equal on machines of the same kind.

    The settings do not change the predictions of a tagger, and no machine changes those that were imported. Raises like
    `check_backend`.
    """
    from nerbench.tasks.inference.prediction import BATCH_PIECES, BLOCK

    parts = {"model_sha256": model_sha256, "words_sha256": words_sha256}
    if kind == "predictions":
        return sha256_hex(canonical_json(parts))
    if kind == "tagger":
        parts |= {"code": TAGGER_CODE_VERSION, "machine": platform.machine(), **_hardware("cpu", 1)}
        return sha256_hex(canonical_json(parts))
    check_backend(settings.backend, device_type(settings.device))
    parts |= {
        "precision": settings.precision,
        "attention": "auto",
        "window": str(settings.max_length or "model"),
        "vote": {"average": "mean"}.get(settings.aggregation_strategy, settings.aggregation_strategy),
        "block": str(BLOCK),
        "batch_pieces": str(BATCH_PIECES[device_type(settings.device)]),
        "code": CODE_VERSION,
        **{package: version(package) for package in ("torch", "transformers", "tokenizers")},
        **_hardware(settings.device, settings.processes),
        **({} if device_type(settings.device) != "cpu" or fuses_gelu() else {"gelu": "torch"}),
        **({} if settings.backend == "torch" else {"backend": settings.backend, **versions(settings.backend)}),
    }
    return sha256_hex(canonical_json(parts))


def _hardware(device: str, processes: int | Literal["auto"]) -> dict[str, str]:
    threads = threads_of_each(processes if device_type(device) == "cpu" and processes != "auto" else 1)
    return {"device": device_name(device), "cpu_capability": processor().capability, "threads": str(threads)}
