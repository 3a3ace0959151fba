"""Scored runs to compare: one artifact as one run scored it, written `REF`, `REF#RUN_ID` or `REF#DATE`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import chain, islice
from operator import and_
from typing import Any, NamedTuple

import pyarrow.compute as pc

from nerbench.artifacts.errors import ArtifactNotFoundError, InputError
from nerbench.artifacts.references import resolve
from nerbench.artifacts.tables.tables import DatedRows, Filter, read_newest_first
from nerbench.tasks.config import Config
from nerbench.tasks.results.query import EndedRun, date_of_run, ended_runs, newest_run
from nerbench.tasks.scoring.stored_predictions import READ_AS, Predicted, stored

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{8,64})")
_IDENTITY = ("words_sha256", "gold_sha256", "predictions_digest")
_COLUMNS = (
    *("run_id", "started_at", "artifact_id", "model_sha256", "model", "dataset", "split", "gold"),
    *(*_IDENTITY, "dtype", "n_models", *READ_AS),
)
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class ScoredRun:
    """One artifact as one run scored it."""

    reference: str
    """The reference that the user wrote."""
    run_id: str
    date: str
    """The run's logical date, YYYY-MM-DD."""
    started_at: datetime
    artifact_id: str
    model_sha256: str
    model: str
    """The name of the model in the run."""
    scored: tuple[Predicted, ...]
    """Ordered by dataset and gold."""
    run: Mapping[str, Any]
    """The run's row in `runs`, of its last attempt."""


class ComparedRuns(NamedTuple):
    """The scores of both sides on one data set and annotation."""

    dataset: str
    gold: str
    base: Predicted | None
    candidate: Predicted | None

    @property
    def reasons(self) -> list[str]:
        """Why the two cannot be compared; empty if they can."""
        return reasons(self.base, self.candidate)

    @property
    def both(self) -> tuple[Predicted, Predicted]:
        """Both scores. Neither may be missing."""
        assert self.base is not None
        assert self.candidate is not None
        return self.base, self.candidate

    @property
    def is_identical(self) -> bool:
        """Whether both have the same predicted tags."""
        base, candidate = self.both
        return base.predictions_digest == candidate.predictions_digest


def find_scored_run(
    reference: str, store: str, results: str, *, dataset: str | None = None, gold: str | None = None
) -> ScoredRun:
    """The scored run that a reference names: by default, the newest complete run with metrics of the artifact.

    The part before the first `#` is a reference to one artifact, as in `references.py`. A plain name with a run means
    the artifact with this name in that run, whatever `latest` points to now. A name or digest that is no longer in the
    store is looked up in the results. `dataset` and `gold` restrict the search.

    Raises InputError if the reference names no artifact or several, or if the predictions of the metrics are gone.
    """
    model, marked, moment = reference.partition("#")
    if not model or (marked and not moment):
        raise InputError(f"model {reference!r}", "names no model or no run", "write REF, REF#RUN_ID or REF#YYYY-MM-DD")
    filters = _meaning(model, store, of_run=bool(moment))
    filters += [(name, "=", value) for name, value in (("dataset", dataset), ("gold", gold)) if value]
    found = _newest(results, filters, moment)
    if found is None:
        raise _nothing_found(reference, store, results, filters)
    rows = found.rows.to_pylist()
    artifacts = sorted({(row["model"], row["artifact_id"]) for row in rows})
    if len(artifacts) > 1:
        listed = ", ".join(f"{name}@sha256:{artifact_id[:12]}" for name, artifact_id in artifacts)
        run = rows[0]["run_id"]
        raise InputError(f"model {reference!r}", f"means several artifacts of the run {run}", f"write one of {listed}")
    return ScoredRun(
        reference=reference,
        date=found.date,
        scored=tuple(stored(results, row) for row in rows),
        run=found.row,
        **{name: rows[0][name] for name in ("run_id", "started_at", "artifact_id", "model_sha256", "model")},
    )


def find_on_dataset(reference: str, config: Config, dataset: str | None) -> ScoredRun:
    """As `find_scored_run`; raises InputError that lists the data sets if the model was scored on others only."""
    try:
        return find_scored_run(reference, config.store, config.results, dataset=dataset)
    except InputError:
        if dataset is None:
            raise
        there = {one.dataset for one in find_scored_run(reference, config.store, config.results).scored}
        if dataset in there:
            raise
        problem = f"{reference} was not scored on {dataset}"
        raise InputError("--dataset", problem, f"choose among {', '.join(sorted(there))}") from None


def reasons(base: Predicted | None, candidate: Predicted | None) -> list[str]:
    """The reasons why two scores cannot be compared, one line each; empty if they can be compared."""
    if base is None or candidate is None:
        missing = [name for name, side in (("base", base), ("candidate", candidate)) if side is None]
        return [f"{name} was not scored on this data set and annotation" for name in missing]
    return [
        f"the two were scored {what} (sha256 {before[:12]} and {after[:12]})"
        for what, before, after in (
            ("on different words", base.words_sha256, candidate.words_sha256),
            ("against different gold tags", base.gold_sha256, candidate.gold_sha256),
        )
        if before != after
    ]


def common(base: ScoredRun, candidate: ScoredRun) -> list[ComparedRuns]:
    """All scores of both sides, paired and sorted by the names of data set and annotation."""
    before, after = ({(one.dataset, one.gold): one for one in side.scored} for side in (base, candidate))
    return [ComparedRuns(*names, before.get(names), after.get(names)) for names in sorted({*before, *after})]


def _meaning(model: str, store: str, *, of_run: bool) -> list[Filter]:
    """Filters for the metrics of the artifact."""
    name, _, selector = model.partition("@")
    if of_run and "/" not in model and not selector:
        return [("model", "=", name)]
    try:
        refs = resolve(model, store)
    except ArtifactNotFoundError:
        digest = _DIGEST.fullmatch(selector)
        if "/" in model or name == "*" or (selector and not digest):
            raise
        # No digit sorts after `f`, so these are the ids with this prefix.
        begins = [("artifact_id", ">=", digest[1]), ("artifact_id", "<", f"{digest[1]}g")] if digest else []
        return [("model", "=", name), *begins]
    if len(refs) != 1:
        raise InputError(f"model {model!r}", f"means {len(refs)} models", "compare one with one")
    return [("artifact_id", "=", refs[0].artifact_id)]


def _newest(results: str, filters: Sequence[Filter], moment: str) -> EndedRun | None:
    """The scores of the newest complete run, of that date or run if one is given: one row for each annotation."""
    date, of_run = (moment, None) if _DATE.fullmatch(moment) else (None, moment)
    if of_run:
        named: Filter = ("run_id", "=", of_run)
        filters = [*filters, named]
        date = date_of_run(results, of_run)
    found = newest_run(results, _scores(results, filters, date))
    by_annotation = [("dataset", "ascending"), ("gold", "ascending")]
    return found._replace(rows=found.rows.sort_by(by_annotation)) if found else None


def _scores(results: str, filters: Sequence[Filter], date: str | None = None) -> Iterator[DatedRows]:
    """The scores of each date, newest first, without means over seeds and metrics without predictions."""
    for found in read_newest_first(results, "metrics", columns=_COLUMNS, filters=filters, date=date):
        known = [pc.field(name).is_valid() for name in _IDENTITY]
        rows = found.rows.filter(reduce(and_, known, pc.field("n_models").is_null()))
        if rows.num_rows:
            yield DatedRows(found.date, rows.group_by(list(_COLUMNS)).aggregate([]))


def _nothing_found(reference: str, store: str, results: str, filters: Sequence[Filter]) -> InputError:
    """The error that lists the last runs or dates with scores, if any. Raises if neither store nor results have the
    model."""
    model, _, moment = reference.partition("#")
    where = "".join(f" on {name} {value}" for name, _, value in filters if name in ("dataset", "gold"))
    scored = list(islice(_scores(results, filters), _SHOWN))
    ended = {found.date: sorted({row["run_id"] for row in ended_runs(results, found)}) for found in scored}
    dates = [date for date, runs in ended.items() if runs]
    if moment and dates:
        listed = ", ".join((dates if _DATE.fullmatch(moment) else [*chain(*ended.values())])[:_SHOWN])
        problem = f"has no metrics{where} of {moment}"
        return InputError(f"model {reference!r}", problem, f"the last ones are of {listed}")
    resolve(model, store)
    but = " but those of runs that did not end" if scored else ""
    problem = f"has no metrics{where} in {results}{but}"
    return InputError(f"model {reference!r}", problem, f"run `nerbench benchmark {model}` first")
