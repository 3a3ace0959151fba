"""The context of a flow's steps: the run's identity, the run recorder, the report, events and tracking.

At the end of a run, the recorder writes the row of `runs` and decides whether the run failed.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from prefect.context import FlowRunContext
from prefect.runtime import deployment, flow_run

from nerbench.artifacts.cache_pruning import prune_after_run
from nerbench.artifacts.errors import (
    InputError,
    NerbenchError,
    Problems,
    RunFailedError,
    StoreUnreachableError,
    collected,
    pass_interrupts,
)
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.memoized_reads import read_once
from nerbench.artifacts.secrets import redact
from nerbench.artifacts.tables.compaction import pack_run
from nerbench.artifacts.terminal_escaping import escape_logs
from nerbench.flows.clone_check import require_imported
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.comparison.quality_gate import refuse, undecided
from nerbench.tasks.config import Config
from nerbench.tasks.config.user_code import explain
from nerbench.tasks.run_identity import Run, utc_now
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted

log = logging.getLogger(__name__)
STORED = "ner.artifact.stored"
"""An artifact was published in the store. A trigger in `deployments/prefect.yaml` starts its benchmark."""


def current_run(results: str) -> Run:
    """The logical run. With a deployment, its id is the scheduled time, so that a rerun has the same id."""
    scheduled = flow_run.scheduled_start_time.astimezone(UTC)
    moment = scheduled.isoformat(timespec="microseconds")
    of_deployment = f"{flow_run.flow_name}-{deployment.name}@{moment}"
    return Run(
        run_id=of_deployment if deployment.name else str(flow_run.id),
        flow=flow_run.flow_name,
        date=scheduled.date().isoformat(),
        started_at=utc_now(),
        attempt=flow_run.run_count or 1,
        results=results,
    )


@dataclass(kw_only=True)
class RunRecorder:
    """Results and failures of a run."""

    run: Run
    needed: tuple[str, ...] = ()
    """Remote locations that every model needs, each with a trailing slash."""
    artifacts: list[ArtifactRef] = field(default_factory=list)
    tables: dict[str, list[str]] = field(default_factory=dict)
    metrics: list[Row] = field(default_factory=list)
    custom: list[Row] = field(default_factory=list)
    """Values of the user's benchmark functions."""
    predicted: list[Predicted] = field(default_factory=list)
    """Scored predictions for the clean split."""
    perturbed: list[Predicted] = field(default_factory=list)
    """Scored predictions for perturbed words."""
    robustness: list[Row] = field(default_factory=list)
    """Rows of the table `robustness`."""
    judged: list[Row] = field(default_factory=list)
    """Rows of the table `gate`."""
    evaluated: int = 0
    cached: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """`train_s`, `evaluate_s`, `score_s`."""
    failures: dict[str, BaseException] = field(default_factory=dict)
    """Errors by model."""
    pruned: str | None = None
    """Summary of cache entries removed at the end; None if none were."""
    problems: Problems = field(default_factory=dict)
    """Damaged objects in the store or the results, which were left out."""

    @contextmanager
    def guard(self, model: str) -> Iterator[None]:
        """Record the failure of a model, so that the others continue and the flow fails at its end.

        An unreachable location in `needed` raises at once, because every other model would wait for it as long. An
        unreadable local file fails its own model only.
        """
        try:
            yield
        except BaseException as error:
            pass_interrupts(error)
            self.failures.setdefault(model, error)
            if isinstance(error, StoreUnreachableError) and f"{error.url}/".startswith(self.needed):
                raise

    def note(self, tables: dict[str, str]) -> None:
        """Record the URIs of written tables by name."""
        for table, uri in tables.items():
            uris = self.tables.setdefault(table, [])
            if uri not in uris:
                uris.append(uri)

    def note_metrics(self, uris: Iterable[str], rows: Sequence[Row]) -> None:
        """Record rows of `metrics` and the URIs of their files."""
        for uri in uris:
            self.note({"metrics": uri})
        self.metrics += rows

    def note_predictions(self, predicted: Predicted) -> None:
        """Record scored predictions and their table."""
        self.note({"predictions": predicted.uri})
        self.predicted.append(predicted)

    def predictions(self, artifact_id: str | None, dataset: str | None = None) -> list[Predicted]:
        """The scored predictions of a model (None: of no model), on one data set or all, for all annotations."""
        return [one for one in self.predicted if one.artifact_id == artifact_id and dataset in (None, one.dataset)]

    def enforce(self, name: str, rows: Sequence[Row]) -> None:
        """Record the verdicts of a gate. Raises RunFailedError if any of them failed."""
        if rows:
            self.note({"gate": tasks.write_gate(self.run, name, rows)})
            self.judged += rows
            refuse(rows)

    def note_evaluation(self, artifact: ArtifactRef, evaluate_s: float | None) -> None:
        """Record that a model was evaluated in `evaluate_s` seconds, or (None) that its predictions were cached."""
        if artifact not in self.artifacts:
            self.artifacts.append(artifact)
        self.cached += evaluate_s is None
        self.evaluated += evaluate_s is not None
        self.add_seconds("evaluate_s", evaluate_s or 0.0)

    def add_seconds(self, column: str, seconds: float) -> None:
        """Add to a duration of the `runs` row."""
        self.seconds[column] = self.seconds.get(column, 0.0) + seconds

    def summary(self) -> dict[str, Any]:
        """The summary that `--json` prints."""
        return {
            "run_id": self.run.run_id,
            "artifacts": [{"name": a.name, "artifact_id": a.artifact_id, "uri": a.uri} for a in self.artifacts],
            "tables": self.tables,
            "evaluated": self.evaluated,
            "cached": self.cached,
            "metrics": self.metrics,
            "gate": self.judged,
            **({"custom": self.custom} if self.custom else {}),
            **({"robustness": self.robustness} if self.robustness else {}),
            **({"pruned": self.pruned} if self.pruned else {}),
            **({"problems": [str(one) for one in self.problems.values()]} if self.problems else {}),
        }

    def failure(self) -> Exception | None:
        """The exception that ends the flow, if any: an invalid request as it is, other failures by model and reason."""
        if not (self.failures or self.problems):
            return None
        errors = list(self.failures.values())
        wrong = [error for error in errors if isinstance(error, InputError)]
        if wrong and not (self.artifacts or self.tables or self.problems) and len(wrong) == len(errors):
            return wrong[0]
        failed = self.failed
        named = undecided(row for row in self.judged if not row["failed"])
        also = f"; undecided: {named}" if named else ""
        return RunFailedError(f"{len(failed)} failed: {'; '.join(failed)}{also}", self.summary())

    @property
    def failed(self) -> list[str]:
        """What failed and why, one line for each model or step, then for each damaged object."""
        return [f"{name}: {_reason(error, name)}" for name, error in self.failures.items()] + [
            " ".join(str(one).split()) for one in self.problems.values()
        ]

    def close(self, config: Config, outcome: str) -> None:
        """Write the `runs` row and prune the caches."""
        totals: dict[str, Any] = {"evaluated": self.evaluated, "cached": self.cached, **self.seconds}
        totals |= {"failures": redact("\n".join(self.failed)) or None}
        self.note({"runs": tasks.write_run(self.run, config, totals, outcome)})
        if outcome == "ok":
            self._pack()
        if pruned := prune_after_run(config.results, config.cache.limits):
            self.pruned = pruned
            log.info("%s", pruned)

    def _pack(self) -> None:
        """Pack the tables of the run, which is complete; failures are only logged."""
        try:
            pack_run(self.run.results, self.tables)
        except Exception as error:
            log.warning("the tables of the run are not packed: %s", _reason(error))


def _reason(error: BaseException, model: str = "") -> str:
    """The message of an error, without the name of `model` at its beginning."""
    text = " ".join(str(error).split())
    text = text.removeprefix(f"model {model}: ").removeprefix(f"model {model!r}: ")
    is_explained = isinstance(error, InputError | RunFailedError) or type(error) is NerbenchError
    return text if is_explained else f"{type(error).__name__}: {text}"


def _without_remedy(error: Exception) -> str:
    """The problem of a report; for an invalid request without the remedy, which does not fit the command of the run."""
    return f"{error.field}: {error.problem}" if isinstance(error, InputError) else _reason(error)


@contextmanager
def recorded(config: Config) -> Iterator[RunRecorder]:
    """Yield the recorder of the current flow run; at the end, write the `runs` row and fail the flow on failures.

    An invalid request that stops the flow at once writes nothing.
    """
    escape_logs()
    if (context := FlowRunContext.get()) and context.flow:
        require_imported(context.flow.fn.__code__.co_filename)
    needed = tuple(f"{where.rstrip('/')}/" for where in (config.store, config.results) if "://" in where)
    recorder = RunRecorder(run=current_run(config.results), needed=needed)
    try:
        with read_once(), collected() as recorder.problems:
            yield recorder
        if failure := recorder.failure():
            raise failure
    except InputError:
        raise
    except BaseException as error:
        try:
            recorder.close(config, "failed")
            if isinstance(error, RunFailedError) and error.summary is not None:
                error.summary |= recorder.summary()
        except Exception as second:  # the user needs to see the first error
            log.warning("the run is not in the table `runs`: %s", _reason(second))
        raise
    recorder.close(config, "ok")


@contextmanager
def reported(config: Config) -> Iterator[dict[str, str]]:
    """After the context, write the report, show it in Prefect, and set `report` in the yielded mapping to its location.

    A failed run also gets a report, whose location is in the failure's summary; an invalid request gets none. If the
    report cannot be written, a warning is logged and the run continues.
    """
    location: dict[str, str] = {}
    try:
        yield location
    except InputError:
        raise
    except Exception as error:
        location |= _write(config)
        if isinstance(error, RunFailedError) and error.summary is not None:
            error.summary |= location
        raise
    location |= _write(config)


def _write(config: Config) -> dict[str, str]:
    if not (config.benchmark.report and config.datasets):  # without one there are no scores to report
        return {}
    try:
        with collected() as problems:
            announced = tasks.write_report(current_run(config.results), config)
        tasks.show_report(announced)
    except Exception as error:
        log.warning("there is no report of this run: %s", _without_remedy(error))
        return {}
    for problem in problems.values():
        log.warning("left out of the report: %s", problem)
    return {"report": announced.uri}


def announce(artifact: ArtifactRef, by: str) -> None:
    """Emit the event for a published artifact, with its source: a pipeline benchmarks its artifacts itself."""
    from prefect.events import emit_event

    emit_event(
        STORED,
        resource={
            "prefect.resource.id": f"ner.artifact.{artifact.name}.{artifact.artifact_id}",
            "prefect.resource.name": artifact.name,
            "ner.published-by": by,
        },
        payload={"name": artifact.name, "artifact_id": artifact.artifact_id, "uri": artifact.uri},
    )


def track(recorder: RunRecorder, config: Config) -> None:
    """Log the models of the run to each tracker. The failure of a tracker is only a warning."""
    for name in config.track if recorder.metrics else ():
        try:
            tasks.track(name, recorder.run, config, recorder.artifacts, recorder.tables)
        except Exception as error:
            log.warning("track: %s: %s; the results are in the tables", name, explain(error))
