"""Predictions of every model on every data set, from the cache or from inference on the configured runner."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.flows.recording import Ledger
from nerbench.flows.runners import HERE, Work, begin, in_turn
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.config import Config
from nerbench.tasks.corpora.refs import CorpusRef
from nerbench.tasks.inference.evaluation import EvaluationPlan, Shard
from nerbench.tasks.inference.records import EvaluationRecord


class Evaluated(NamedTuple):
    """One model's predictions on one data set, and the annotations to score them against."""

    artifact: ArtifactRef
    annotations: list[CorpusRef]
    record: EvaluationRecord


class Cell(NamedTuple):
    """The evaluation of one model on one data set."""

    artifact: ArtifactRef
    annotations: list[CorpusRef]
    """The annotations, the data set's own first; all have the same words."""
    runs: list[range]
    """The blocks of each shard; empty if the corpus has no shards."""


class Planned(NamedTuple):
    """The work for one model on one data set."""

    cell: Cell
    plan: EvaluationPlan
    shards: list[Shard]
    """One if the corpus has no shards, or if no inference is needed."""


def evaluate_models(
    ledger: Ledger, config: Config, artifacts: Sequence[ArtifactRef], corpora: Sequence[list[CorpusRef]]
) -> list[Evaluated]:
    """Predictions of every model, each once, on every data set. A failed model does not stop the others."""
    distinct = {one.artifact_id: one for one in artifacts}.values()
    cut = [(annotations, split(config, annotations[0])) for annotations in corpora]
    cells = [Cell(artifact, annotations, runs) for artifact in distinct for annotations, runs in cut]
    evaluated: list[Evaluated] = []
    while cells:
        now, cells = separate(plan_evaluations(ledger, config, cells))
        pieces = in_turn((piece for one in now for piece in begin_evaluation(config, one)), config.runner.at_once)
        evaluated += [found for one in now if (found := end_evaluation(ledger, config, one, pieces))]
        if config.benchmark.canary:
            check_canaries(ledger, config, [one for one in now if one.plan.record])
    return evaluated


def split(config: Config, corpus: CorpusRef) -> list[range]:
    """The blocks of each shard of a corpus; empty if it has no shards."""
    runs = tasks.split_corpus(corpus, config.benchmark.shards) if config.benchmark.shards > 1 else []
    return runs if len(runs) > 1 else []


def plan_evaluations(ledger: Ledger, config: Config, cells: Sequence[Cell]) -> list[Planned]:
    """What the cache holds, looked up where inference would run, because the key includes the kind of machine."""
    planned = []
    results = config.results
    looking = [tasks.look_up.submit(one.artifact, one.annotations[0], config.benchmark, results) for one in cells]
    for cell, found in zip(cells, looking, strict=True):
        with ledger.guard(cell.artifact.name):
            plan = found.result()
            shards = [Shard(record=plan.record)]
            if cell.runs and not plan.record:
                shards = tasks.find_shards(plan, cell.artifact, cell.runs, results)
            planned.append(Planned(cell, plan, shards))
    return planned


def separate(planned: Sequence[Planned]) -> tuple[list[Planned], list[Cell]]:
    """Items to run, and items that wait because another one infers the same, as for a model with two names."""
    first: dict[str, Planned] = {}
    now, later = [], []
    for one in planned:
        if first.setdefault(one.plan.key, one) is one or one.plan.record:
            now.append(one)
        else:
            later.append(one.cell)
    return now, later


def begin_evaluation(config: Config, planned: Planned) -> Iterator[Work[dict[str, Any]]]:
    """Submit the steps of an evaluation one after another; cached ones need no worker."""
    (artifact, (corpus, *_), _), plan, shards = planned
    for shard in shards:
        where = HERE if shard.record else config.runner
        yield begin(where, tasks.evaluate, artifact, corpus, plan, shard, config.results)


def end_evaluation(
    ledger: Ledger, config: Config, planned: Planned, pieces: Iterator[Work[dict[str, Any]]]
) -> Evaluated | None:
    """Wait for the steps of an evaluation, the next of `pieces`, and join its shards."""
    (artifact, annotations, _), plan, shards = planned
    own = list(islice(pieces, len(shards)))
    with ledger.guard(artifact.name):
        records = [EvaluationRecord.model_validate(piece.result()) for piece in own]
        record = tasks.join_shards(plan, artifact, records, config.results) if len(shards) > 1 else records[0]
        seconds = sum(one.evaluate_s for one, shard in zip(records, shards, strict=True) if shard.record is None)
        ledger.note_evaluation(artifact, None if plan.record else seconds)
        return Evaluated(artifact, annotations, record)
    return None


def check_canaries(ledger: Ledger, config: Config, cached: Sequence[Planned]) -> None:
    """Fail the run, after all rows are written, if cached predictions differ from those of the models."""
    share = config.benchmark.canary
    begun = (
        begin(config.runner, tasks.check_canary, ledger.run, cell.artifact, cell.annotations[0], plan, share)
        for cell, plan, _ in cached
    )
    for one, checked in zip(cached, in_turn(begun, config.runner.at_once), strict=True):
        with ledger.guard(f"{one.cell.artifact.name} (canary)"):
            checked.result()
