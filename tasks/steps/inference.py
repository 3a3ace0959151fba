"""Steps between words and stored predictions: from the cache, or inferred, whole or in shards."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.config import BenchmarkConfig, Config, DatasetConfig
from nerbench.tasks.corpora import refs
from nerbench.tasks.corpora.refs import CorpusRef
from nerbench.tasks.inference import canary, evaluation, sharding
from nerbench.tasks.inference.evaluation import EvaluationPlan, EvaluationRecord
from nerbench.tasks.inference.sharding import Shard, ShardRecord
from nerbench.tasks.inference.writing import n_blocks
from nerbench.tasks.progress import inference_progress
from nerbench.tasks.results import rows
from nerbench.tasks.results.predicted import Predicted
from nerbench.tasks.runs import Run
from nerbench.tasks.steps.retrying import STORAGE
from nerbench.tasks.steps.slots import gpu_slots
from nerbench.tasks.steps.step import from_store, step


@step(task_run_name="read {dataset.name}", **STORAGE)
def read_corpus(config: Config, dataset: DatasetConfig) -> list[CorpusRef]:
    """The benchmark split of a data set under each of its annotations."""
    return refs.describe(config, dataset)


@step(task_run_name="look up {artifact.name} on {corpus.dataset.name}", **STORAGE)
def look_up(artifact: ArtifactRef, corpus: CorpusRef, benchmark: BenchmarkConfig, results: str) -> EvaluationPlan:
    """Whether predictions for this model, these words and these settings exist and are intact."""
    return evaluation.plan(artifact, corpus.words_sha256, benchmark, results)


@step(task_run_name="evaluate {artifact.name} on {corpus.dataset.name}", **STORAGE)
def evaluate(artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, results: str) -> dict[str, Any]:
    """Predictions of one model on one corpus, as their record: the one that `look_up` verified, or a new one."""
    if plan.record:
        return from_store(plan.record.model_dump(mode="json"))
    words = refs.open_corpus(corpus)
    progress = inference_progress(f"{artifact.name} on {corpus.dataset.name}", words.n_words)
    with gpu_slots(plan.settings.device):
        return evaluation.carry_out(plan, artifact, words, results, progress).model_dump(mode="json")


@step(task_run_name="cut {corpus.dataset.name} into shards", **STORAGE)
def split_corpus(corpus: CorpusRef, shards: int) -> list[range]:
    """The blocks of each shard of a corpus."""
    return sharding.split_corpus(refs.open_corpus(corpus), shards)


@step(task_run_name="look up shards of {artifact.name}", **STORAGE)
def find_shards(artifact: ArtifactRef, plan: EvaluationPlan, runs: Sequence[range], results: str) -> list[Shard]:
    """The shards of an evaluation, and which of them are inferred already and intact."""
    return sharding.find_shards(plan, artifact.name, runs, results)


@step(task_run_name="evaluate {artifact.name} on {corpus.dataset.name}, shard {shard.number} of {shard.of}", **STORAGE)
def infer_shard(
    artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, shard: Shard, results: str
) -> dict[str, Any]:
    """Predictions of one model on a shard of a corpus, as their record: a verified one, or a new inference's."""
    if shard.record:
        return from_store(shard.record.model_dump(mode="json"))
    words = refs.open_corpus(corpus)
    name = f"{artifact.name} on {corpus.dataset.name}, shard {shard.number} of {shard.of}"
    progress = inference_progress(name, words.n_words // shard.of)
    with gpu_slots(plan.settings.device):
        return sharding.infer_shard(plan, shard, artifact, words, results, progress).model_dump(mode="json")


@step(task_run_name="join the shards of {artifact.name} on {corpus.dataset.name}", **STORAGE)
def join_shards(
    artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, shards: Sequence[ShardRecord], results: str
) -> EvaluationRecord:
    """The shards of an evaluation as one."""
    return sharding.join_shards(plan, artifact, shards, results)


@step(task_run_name="infer a share again: {artifact.name} on {corpus.dataset.name}")
def check_canary(run: Run, artifact: ArtifactRef, corpus: CorpusRef, plan: EvaluationPlan, share: float) -> int:
    """Infer the share of a cached evaluation that is due at the run's date again and compare the tags; never cached."""
    with gpu_slots(plan.settings.device):
        words = refs.open_corpus(corpus)
        blocks = canary.due(date.fromisoformat(run.date), n_blocks(words), share)
        return canary.check(artifact, words, plan, blocks, run.results)


@step(task_run_name="write predictions of {artifact.name} beside {corpus.gold_name}", **STORAGE)
def write_predictions(
    run: Run, artifact: ArtifactRef, record: EvaluationRecord, corpus: CorpusRef, benchmark: BenchmarkConfig
) -> Predicted:
    """Write the `predictions` of one model beside one annotation, unless they stand there already."""
    return rows.write_predictions(run, artifact, record, corpus, benchmark)
