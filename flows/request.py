"""The parameter and the return value of a flow.

The parameter is a complete configuration, or a file on the machine that runs the flow. The return value is a summary,
with rows that Prefect does not search for futures.

The user who starts a run through Prefect's API may differ from the one who started the worker. Therefore, the worker's
environment and its own file limit what parameters can name (see `nerbench.tasks.config.permissions`).
"""

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, overload

from prefect.context import FlowRunContext
from prefect.flows import Flow
from prefect.states import Completed
from pydantic import Field

from nerbench.artifacts.errors import InputError
from nerbench.tasks.comparison.quality_gate import undecided
from nerbench.tasks.config import Config, TaggerConfig
from nerbench.tasks.config.loading import (
    DEFAULT_FILE,
    Named,
    expanded_config,
    load_config,
    named_code,
    named_locations,
    named_reference,
)
from nerbench.tasks.config.permissions import (
    DATA,
    ENV,
    listed,
    require_configuration,
    require_file,
    require_location,
    require_training_args,
)
from nerbench.tasks.config.schema_base import field_name
from nerbench.tasks.scoring.metrics import Row

DEFAULT_REQUEST = str(DEFAULT_FILE)
Request = Annotated[str, Field(title="file")] | Config | Annotated[None, Field(title="default")]
"""The path of a configuration's YAML file, a configuration, or None for `nerbench.yaml`.

Every run reads the file again on the machine that runs the flow, and relative paths start there. A deployment is thus
the same for every worker, and an edit takes effect with the next run. Prefect's form shows a file name by default; a
configuration has more than a hundred fields.
"""
References = Annotated[list[str], Field(title="references")] | Annotated[None, Field(title="as configured")]
"""Models that replace the configured ones, or None."""


_Flow = TypeVar("_Flow", bound=Flow[..., Any])


def in_form(*names: str) -> Callable[[_Flow], _Flow]:
    """Show these parameters first in Prefect's form, which otherwise begins with the long configuration.

    Calls in Python keep the order of the function.
    """

    def ordered(flow: _Flow) -> _Flow:
        signature = inspect.signature(flow.fn)
        order = sorted(signature.parameters.values(), key=lambda one: [*names, one.name].index(one.name))
        flow.__signature__ = signature.replace(parameters=order)  # type: ignore[attr-defined]
        of_form = flow.parameters.properties
        properties = {one.name: of_form[one.name] | {"position": place} for place, one in enumerate(order)}
        flow.parameters = flow.parameters.model_copy(update={"properties": properties})
        return flow

    return ordered


def configuration(request: Request, needs: Collection[str]) -> Config:
    """Load the configuration. Errors in sections outside `needs` of a file are ignored (see `load_config`).

    Raises InputError if the file does not exist or if a run that the API started names something that is not allowed,
    and ConfigError for errors in the configuration.
    """
    if isinstance(request, Config):
        return _admitted(request) if is_started_by_api() else request
    file = Path(request or DEFAULT_FILE)
    if file != DEFAULT_FILE and is_started_by_api():
        require_configuration("config", file)
    if not file.is_file():
        remedy = "start the worker or `nerbench serve` in its folder, or name another file as `config`"
        raise InputError("config", f"there is no file {file} in {Path.cwd()}", remedy)
    return load_config(file, needs=needs)


def admit_references(field: str, references: Sequence[str]) -> None:
    """Raise InputError for a model location that the parameters of this run are not allowed to name."""
    if is_started_by_api():
        roots = _roots()
        for number, reference in enumerate(references):
            _require(named_reference((field, number), reference), roots)


def is_started_by_api() -> bool:
    """Whether Prefect's API started this run: the run has a deployment, or this process was started for it."""
    context = FlowRunContext.get()
    of_deployment = context and context.flow_run and context.flow_run.deployment_id
    return bool(of_deployment or os.environ.get("PREFECT__FLOW_RUN_ID"))


def _admitted(config: Config) -> Config:
    expanded = expanded_config(config.model_dump(mode="json"), allowed=listed(ENV))
    _require(named_locations(expanded), _roots())
    places = [name.rpartition(":")[0] for _, name in named_code(expanded)]
    metrics = (one if isinstance(one, str) else one.evaluate for one in expanded.metrics)
    for file in (*metrics, *(file for file in places if file.endswith(".py"))):
        require_file(file)
    for dataset in expanded.datasets:
        if dataset.python and dataset.python not in _own_interpreters():
            problem = f"{dataset.python} is an interpreter that the worker's own file does not name"
            raise InputError(f"datasets: {dataset.name}: python", problem, f"add the data set to {DEFAULT_FILE} there")
    for tagger in expanded.taggers:
        if tagger not in _own_taggers():
            problem = "is a tagger that the worker's own file does not name"
            raise InputError(f"models: {tagger.name}", problem, f"add it to {DEFAULT_FILE} on the worker")
    for model in expanded.base_models:
        if model.push_to_hub:
            problem = "cannot be set in the parameters of a run"
            remedy = "set it in the worker's own file, or publish by the deployment publish/on-demand"
            raise InputError(f"models: {model.name}: push_to_hub", problem, remedy)
        require_training_args(f"models: {model.name}: training_args", model.training_args)
    return expanded


def _require(named: Iterable[Named], roots: list[str]) -> None:
    for place in named:
        require_location(field_name(place.at), place.url, roots)


def _roots() -> list[str]:
    """Locations that parameters can name: the worker's folder or those in NERBENCH_DATA, and those in its own file."""
    roots = listed(DATA) or [str(Path.cwd())]
    own = _own_config()
    return [*roots, *(place.url for place in named_locations(own))] if own else roots


def _own_taggers() -> tuple[TaggerConfig, ...]:
    """The taggers that the worker's own file names: a tagger starts an interpreter, and may send the words away."""
    own = _own_config()
    return own.taggers if own else ()


def _own_interpreters() -> set[str | None]:
    """The interpreters of data sets that the worker's own file names."""
    own = _own_config()
    return {dataset.python for dataset in own.datasets} if own else set()


def _own_config() -> Config | None:
    try:
        return load_config(DEFAULT_FILE, needs=()) if DEFAULT_FILE.is_file() else None
    except InputError:  # every flow that reads it reports this
        return None


class Rows(Sequence[Row]):
    """A sequence of rows that equals a list of the same rows.

    Prefect searches every value of returned lists and mappings for futures, which takes as long as scoring.
    """

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return self._rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return self._rows == (other._rows if isinstance(other, Rows) else other)

    __hash__ = None  # type: ignore[assignment]


def returned(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary that a flow returns; if the gate is undecided, wrapped in a state with this message.

    The caller of the flow gets the summary in both cases.
    """
    kept = summary | {"metrics": Rows(summary["metrics"])}
    if named := undecided(summary["gate"]):
        return cast(dict[str, Any], Completed(message=f"undecided: {named}", data=kept))
    return kept
