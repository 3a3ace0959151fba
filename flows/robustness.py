"""Robustness: ordinary evaluations of perturbed copies of the corpora, beside those of the clean split."""

import logging
import time
from collections.abc import Mapping, Sequence

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.benchmark_steps import evaluate_models
from nerbench.flows.run_context import RunRecorder
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus_refs import CorpusRef
from nerbench.tasks.inference.evaluation_cache import Evaluated

log = logging.getLogger(__name__)


def measure_robustness(
    recorder: RunRecorder,
    config: Config,
    artifacts: Sequence[ArtifactRef],
    baselines: Mapping[str, ArtifactRef | None],
    corpora: Sequence[list[CorpusRef]],
) -> None:
    """Evaluate models on every perturbation of every data set, and compare each with its scores on the clean split.

    Baselines take part if a rule of the gate names a perturbation.
    """
    started = time.perf_counter()
    named = any(rule.perturbation for rule in config.gate.rules) if config.gate else False
    models = [*artifacts, *filter(None, baselines.values())] if named else artifacts
    for name in dict.fromkeys(artifact.name for artifact in models if artifact.kind == "predictions"):
        log.warning("%s: imported predictions are of the clean words only, so it has no robustness", name)
    inferable = [artifact for artifact in models if artifact.kind != "predictions"]
    with recorder.guard("robustness"):
        perturbed = [one for own, *_ in corpora for one in tasks.perturb_corpus(config, own)]
        by_dataset: dict[tuple[str, str], list[Evaluated]] = {}
        for evaluated in evaluate_models(recorder, config, inferable, perturbed):
            key = evaluated.artifact.artifact_id, evaluated.corpus.dataset.name
            by_dataset.setdefault(key, []).append(evaluated)
        for of_dataset in by_dataset.values():
            score_perturbations(recorder, config, of_dataset)
    recorder.add_seconds("robustness_s", time.perf_counter() - started)


def score_perturbations(recorder: RunRecorder, config: Config, perturbed: Sequence[Evaluated]) -> None:
    """Score one model on the perturbations of one data set, if it has predictions for all of them and for the clean
    split; otherwise, the run has already failed."""
    artifact, dataset = perturbed[0].artifact, perturbed[0].corpus.dataset.name
    own = [one for one in recorder.predictions(artifact.artifact_id, dataset) if one.gold == dataset]
    if not own or (config.robustness and len(perturbed) < len(config.robustness.perturbations)):
        return
    with recorder.guard(f"{artifact.name} (robustness)"):
        scores = tasks.score_perturbed(recorder.run, own[0], perturbed, config)
        recorder.perturbed += scores.predicted
        recorder.robustness += scores.drops
        recorder.note(scores.tables)
        for one in scores.predicted:
            recorder.note({"predictions": one.uri})
