"""The run recorder that a flow fills; at the end of the run, it writes the `runs` row and decides on failure."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nerbench.artifacts.errors import InputError, RunFailedError, StoreUnreachableError, pass_interrupts
from nerbench.artifacts.escaping import escape_logs
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.problems import Problems, collected
from nerbench.flows.identity import current_run
from nerbench.tasks import prefect_tasks as tasks
from nerbench.tasks.comparison.gate import undecided
from nerbench.tasks.config import Config
from nerbench.tasks.results.caches import prune_after_run
from nerbench.tasks.results.predicted import Predicted
from nerbench.tasks.runs import Run
from nerbench.tasks.scoring.metrics import Row

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Ledger:
    """Results and failures of a run."""

    run: Run
    needed: tuple[str, ...] = ()
    """Remote locations that every model needs, each with a trailing slash."""
    artifacts: list[ArtifactRef] = field(default_factory=list)
    tables: dict[str, list[str]] = field(default_factory=dict)
    metrics: list[Row] = field(default_factory=list)
    custom: list[Row] = field(default_factory=list)
    """What benchmark functions of the user's own gave."""
    predicted: list[Predicted] = field(default_factory=list)
    """Scored predictions."""
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

    def note_predictions(self, predicted: Predicted) -> None:
        """Record scored predictions and their table."""
        self.note({"predictions": predicted.uri})
        self.predicted.append(predicted)

    def predictions(self, artifact: ArtifactRef, dataset: str | None = None) -> list[Predicted]:
        """The scored predictions of a model, on one data set or all, for all annotations."""
        return [
            one for one in self.predicted if one.artifact_id == artifact.artifact_id and dataset in (None, one.dataset)
        ]

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
        failed = [f"{model}: {_reason(error)}" for model, error in self.failures.items()]
        failed += map(str, self.problems.values())
        named = undecided(row for row in self.judged if not row["failed"])
        also = f"; undecided: {named}" if named else ""
        return RunFailedError(f"{len(failed)} failed: {'; '.join(failed)}{also}", self.summary())

    def close(self, config: Config, outcome: str) -> None:
        """Write the `runs` row and prune the caches."""
        totals = {"evaluated": self.evaluated, "cached": self.cached, **self.seconds}
        self.note({"runs": tasks.write_run(self.run, config, totals, outcome)})
        if pruned := prune_after_run(config.results, config.cache):
            self.pruned = pruned
            log.info("%s", pruned)


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError | RunFailedError) else f"{type(error).__name__}: {text}"


@contextmanager
def recorded(config: Config) -> Iterator[Ledger]:
    """Yield the recorder of the current flow run; at the end, write the `runs` row and fail the flow on failures.

    An invalid request that stops the flow at once writes nothing.
    """
    escape_logs()
    needed = tuple(f"{where.rstrip('/')}/" for where in (config.store, config.results) if "://" in where)
    ledger = Ledger(run=current_run(config.results), needed=needed)
    try:
        with collected() as ledger.problems:
            yield ledger
        if failure := ledger.failure():
            raise failure
    except InputError:
        raise
    except BaseException as error:
        try:
            ledger.close(config, "failed")
            if isinstance(error, RunFailedError) and error.summary is not None:
                error.summary |= ledger.summary()
        except Exception as second:  # the user needs to see the first error
            log.warning("the run is not in the table `runs`: %s", _reason(second))
        raise
    ledger.close(config, "ok")
