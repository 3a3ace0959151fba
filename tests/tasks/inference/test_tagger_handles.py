"""Processes of one evaluation share the graph that a backend computes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.data.corpus_refs import CorpusRef
from nerbench.tasks.inference import evaluation_cache
from nerbench.tasks.inference.evaluation_key import EvaluationSettings
from nerbench.tasks.inference.prediction import BLOCK


class Plain:
    """A reference that its JSON determines."""

    def __init__(self, name: str = "m") -> None:
        self.name = name

    def model_dump(self, mode: str) -> dict[str, Any]:
        return {"name": self.name}


@contextmanager
def two_processes(device: str) -> Iterator[Any]:
    """The first of two processes."""
    yield SimpleNamespace(process_index=0, num_processes=2, device=device)


@pytest.mark.parametrize(("backend", "exports"), [("torch", 0), ("onnxruntime", 1), ("openvino", 1)])
def test_the_processes_of_an_evaluation_share_one_export(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str, exports: int
) -> None:
    exported: list[tuple[Any, ...]] = []
    graphs: list[Path | None] = []

    def export(folder: Path, target: Path, *options: Any) -> Path:
        exported.append((folder, *options))
        return target / "model.onnx"

    def infer_here(*given: Any) -> dict[str, Any]:
        graphs.append(given[7])
        return {"words": 1}

    def processes(entry: str, job: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        for _ in range(options["processes"]):
            evaluation_cache.infer_part(job, lambda event: None)
        raise InterruptedError

    corpus = SimpleNamespace(lengths=np.ones(2 * BLOCK, np.int32))
    settings = EvaluationSettings(
        device="auto", precision="fp32", backend=backend, max_length=64, aggregation_strategy="first"
    )
    monkeypatch.setattr(evaluation_cache, "materialise", lambda artifact: tmp_path / artifact.name)
    monkeypatch.setattr(evaluation_cache, "export_graph", export)
    monkeypatch.setattr(evaluation_cache, "_infer_here", infer_here)
    monkeypatch.setattr(evaluation_cache, "run_processes", processes)
    monkeypatch.setattr(evaluation_cache, "meeting", two_processes)
    monkeypatch.setattr(evaluation_cache, "open_corpus", lambda ref: corpus)
    for kind in (ArtifactRef, CorpusRef):
        monkeypatch.setattr(kind, "model_validate", lambda data: Plain(**data))
    given: Any = (settings, Plain("m"), Plain("own"), range(2), str(tmp_path), print)
    with pytest.raises(InterruptedError):
        evaluation_cache._infer_together(tmp_path / "predictions.parquet", 2, *given)
    assert exported == [(tmp_path / "m", backend, "fp32", 64, "m")] * exports
    assert graphs == [tmp_path / "model.onnx" if exports else None] * 2
