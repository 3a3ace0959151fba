"""Lazy handles of taggers as an evaluation runs them: with its device, precision and backend."""

from pathlib import Path
from typing import TYPE_CHECKING

from nerbench.artifacts.lazy_artifact import ArtifactHandle
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import golden_of
from nerbench.tasks.inference.evaluation_key import EvaluationSettings

if TYPE_CHECKING:
    from nerbench.tasks.inference.loaded_model import LoadedModel


def tagger_handle(
    artifact: ArtifactRef,
    settings: EvaluationSettings,
    *,
    as_saved: bool = False,
    graph: Path | None = None,
    results: str | None = None,
) -> "ArtifactHandle[LoadedModel]":
    """A lazy handle of the model with these settings; with `as_saved`, torch computes it and no module is replaced.

    `graph` is the file of `export_graph`; without it, a backend exports the model itself. `results` is the folder that
    keeps the fastest kernels of linear layers; without it, the default ones are used.
    """
    from nerbench.tasks.inference.backend_sessions import use_backend
    from nerbench.tasks.inference.linear_kernels import kernels_for
    from nerbench.tasks.inference.loading import load_tagger, resolve_device
    from nerbench.tasks.inference.optimize import optimize_for_inference

    device = resolve_device(settings.device)

    def load(folder: Path) -> "LoadedModel":
        on_torch = as_saved or settings.backend == "torch"
        tagger = load_tagger(
            folder,
            device=device,
            precision=settings.precision if on_torch else "fp32",
            window=settings.max_length,
            name=artifact.name,
            golden=golden_of(artifact),
        )
        if not on_torch:
            return use_backend(tagger, folder, settings.backend, settings.precision, artifact.name, graph)
        if as_saved:
            return tagger
        timed = results if device.type == "cpu" and settings.precision == "fp32" else None
        return optimize_for_inference(tagger, kernels_for(tagger.model, timed) if timed else None)

    return ArtifactHandle(artifact, load)
