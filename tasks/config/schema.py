"""The complete configuration of a run, without credentials: run parameters, tables and pages show it in plain text."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, PrivateAttr, Tag, field_validator, model_validator

from nerbench.artifacts.secrets import is_secret_name, url_credential
from nerbench.tasks.config.schema_base import Mode, Section, Text, field_name
from nerbench.tasks.config.schema_data import DatasetConfig, EvaluateMetric, GoldConfig, SliceConfig
from nerbench.tasks.config.schema_models import ModelConfig
from nerbench.tasks.config.schema_robustness import RobustnessConfig
from nerbench.tasks.config.schema_run import (
    BenchmarkConfig,
    CacheConfig,
    CardConfig,
    GateConfig,
    RunnerConfig,
    RunnerKind,
    SpeedConfig,
)
from nerbench.tasks.config.schema_taggers import TaggerConfig


def _branch(model: Any) -> str:
    is_tagger = "tagger" in model if isinstance(model, dict) else isinstance(model, TaggerConfig)
    return "a tagger" if is_tagger else "a model"


AnyModel = Annotated[
    Annotated[ModelConfig, Tag("a model")] | Annotated[TaggerConfig, Tag("a tagger")], Discriminator(_branch)
]


Tracker = Literal["mlflow", "trackio", "wandb"]
_KEYS_OF_DATA = frozenset("column field foreign group join label primary sort tag text word".split())
"""Words before `_key` that mark a harmless option, as in `sort_key`."""


def _with_single_dataset(schema: dict[str, Any]) -> None:
    """Let Prefect pass on `dataset`: it checks parameters against this schema before `_single_dataset` renames it."""
    datasets = schema["properties"]["datasets"]
    schema["properties"]["dataset"] = {**datasets["items"], "description": "One data set, in place of `datasets`."}


class Config(Section, title="every key", json_schema_extra=_with_single_dataset):
    """The configuration of a run."""

    store: Text = "./var/artifacts"
    """The model store: a folder or an fsspec URL."""
    results: Text = "./var/results"
    """Location of result tables and cached predictions: a folder or an fsspec URL."""
    datasets: tuple[DatasetConfig, ...] = ()
    """The data sets. `dataset:` with a single mapping is also accepted."""
    golds: tuple[GoldConfig, ...] = ()
    """Additional annotations of the same text."""
    models: tuple[AnyModel, ...] = ()
    """The models to train, and the taggers to compare them with, which have the key `tagger`."""
    benchmark: BenchmarkConfig = BenchmarkConfig()
    """What the benchmark measures."""
    speed: SpeedConfig = SpeedConfig()
    """What the speed and memory sweep measures."""
    metrics: tuple[Text | EvaluateMetric, ...] = ()
    """Files with custom metrics and benchmark functions, e.g. `my_metrics.py`, and scripts of `evaluate` metrics,
    e.g. `{evaluate: seqeval.py}`."""
    slices: tuple[SliceConfig, ...] = ()
    """Custom slices to score, in addition to the built-in ones."""
    runner: RunnerConfig = RunnerConfig()
    """Where tasks run: `threads`, `processes`, `dask` or `ray`."""
    gate: GateConfig | None = None
    """Comparison with a baseline that can fail a benchmark. Default: no gate."""
    robustness: RobustnessConfig | None = None
    """Evaluation on perturbed copies of the data sets. Default: none."""
    card: CardConfig = CardConfig()
    """Metadata and texts of model cards."""
    cache: CacheConfig = CacheConfig()
    """Limits of the caches. Default: no limits."""
    track: tuple[Tracker, ...] = ()
    """Where to log results as well, one tracked run per model: `mlflow`, `trackio`, `wandb`, or a list of them (each
    needs the extra of its name). If a tracker fails, the run only logs a warning. Default: no tracking."""
    tracking_uri: Text | None = None
    """MLflow's tracking server, or e.g. `sqlite:///mlflow.db`; by default, MLFLOW_TRACKING_URI. The other trackers are
    set up by their own environment variables."""

    _written: dict[tuple[str | int, ...], tuple[str, str]] = PrivateAttr(default_factory=dict)
    """For each key path, the location with variables expanded and as written."""

    def with_written(self, written: dict[tuple[str | int, ...], tuple[str, str]]) -> Self:
        """A copy that remembers how these locations were written."""
        copy = self.model_copy()
        copy._written = written
        return copy

    def as_written(self) -> dict[str, Any]:
        """The configuration as plain data to record and show; locations keep their variable names."""
        data = self.model_dump(mode="json")
        for at, (expanded, written) in self._written.items():
            section: Any = data
            for key in at[:-1]:
                section = section[key]
            if section[at[-1]] == expanded:
                section[at[-1]] = written
        return data

    @property
    def trained_models(self) -> tuple[ModelConfig, ...]:
        """The models to train, with one entry per seed."""
        return tuple(one for model in self.base_models for one in model.each_seed)

    @property
    def base_models(self) -> tuple[ModelConfig, ...]:
        """The models to train, one entry for all seeds of a model."""
        return tuple(model for model in self.models if isinstance(model, ModelConfig))

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names that models and taggers are published as."""
        return (*(model.name for model in self.trained_models), *(tagger.name for tagger in self.taggers))

    @property
    def taggers(self) -> tuple[TaggerConfig, ...]:
        """The taggers that are not trained."""
        return tuple(model for model in self.models if isinstance(model, TaggerConfig))

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The matching modes to score: those of the benchmark and of the gate's rules."""
        rules = self.gate.rules if self.gate else ()
        return tuple(dict.fromkeys((*self.benchmark.modes, *(rule.mode for rule in rules))))

    def dataset_of(self, model: ModelConfig) -> DatasetConfig:
        """The data set that a model trains on."""
        return next(d for d in self.datasets if model.dataset in (None, d.name))

    @model_validator(mode="before")
    @classmethod
    def _single_dataset(cls, data: Any) -> Any:
        if isinstance(data, dict) and "dataset" in data:
            if "datasets" in data:
                raise ValueError("dataset: cannot be combined with datasets; put it into that list")
            data = dict(data)
            data["datasets"] = [data.pop("dataset")]
        return data

    @model_validator(mode="after")
    def _holds_no_credential(self) -> Self:
        if problem := _find_credential(self.model_dump()):
            raise ValueError(problem)
        return self

    @field_validator("runner", mode="before", json_schema_input_type=RunnerKind | RunnerConfig)
    @classmethod
    def _kind_may_stand_alone(cls, runner: Any) -> Any:
        return {"kind": runner} if isinstance(runner, str) else runner

    @field_validator("track", mode="before", json_schema_input_type=Tracker | tuple[Tracker, ...] | None)
    @classmethod
    def _single_tracker(cls, track: Any) -> Any:
        return (track,) if isinstance(track, str) else track or ()

    @field_validator("track")
    @classmethod
    def _each_tracker_once(cls, track: tuple[Tracker, ...]) -> tuple[Tracker, ...]:
        if twice := [name for name in track if track.count(name) > 1]:
            raise ValueError(f"{twice[0]} is named twice; leave it out once")
        return track

    @model_validator(mode="after")
    def _tracking_is_asked_for(self) -> Self:
        if self.tracking_uri and "mlflow" not in self.track:
            raise ValueError("tracking_uri: has no effect unless track names mlflow; add `track: mlflow`")
        return self

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        seeded = [model for model in self.base_models if model.seeds]
        for field, names in (
            ("datasets", [d.name for d in self.datasets]),
            ("models", [*self.model_names, *(model.name for model in seeded)]),
            ("golds", [*(g.name for g in self.golds), *(d.name for d in self.datasets)]),
            ("slices", [s.name for s in self.slices]),
        ):
            if twice := sorted({n for n in names if names.count(n) > 1}):
                raise ValueError(f"{field}: the name {twice[0]} is used twice; rename one")
        known = sorted(d.name for d in self.datasets)
        remedy = f"name one of {', '.join(known)}" if known else "add that data set"
        for model in self.base_models:
            if model.dataset and model.dataset not in known:
                raise ValueError(f"models: {model.name} trains on {model.dataset}; {remedy}")
        for gold in self.golds:
            if gold.dataset not in known:
                raise ValueError(f"golds: {gold.name} annotates {gold.dataset}; {remedy}")
        for benchmark in self.card.eval_results:
            if benchmark.dataset not in known:
                raise ValueError(f"card: eval_results are about the data set {benchmark.dataset}; {remedy}")
        for rule in self.gate.rules if self.gate else ():
            if rule.dataset and rule.dataset not in known:
                raise ValueError(f"gate: a rule is about the data set {rule.dataset}; {remedy}")
            annotations = {g.name for g in self.golds} | {*known}
            if rule.gold and rule.gold not in annotations:
                choices = ", ".join(sorted(annotations))
                raise ValueError(f"gate: a rule is about the gold {rule.gold}; name one of {choices}")
            perturbed = self.robustness.perturbations if self.robustness else ()
            if rule.perturbation and rule.perturbation not in perturbed:
                remedy = f"name one of {', '.join(perturbed)}" if perturbed else "add the section robustness"
                raise ValueError(f"gate: a rule is about the perturbation {rule.perturbation}; {remedy}")
        return self

    @model_validator(mode="after")
    def _promotion_is_decided_elsewhere(self) -> Self:
        gate = self.gate
        if gate and gate.promote and gate.promote_on == self.benchmark.split and not gate.promote_on_reported:
            raise ValueError(
                f"gate: promote_on is {gate.promote_on}, which is the reported split; "
                "name another one, or insist with promote_on_reported: true"
            )
        return self


def _find_credential(data: Any) -> str | None:
    """`field: problem; remedy` for the first credential in a configuration (plain data), or None."""
    for at, text in _texts(data, ()):
        if kind := url_credential(text):
            mlflow = " (MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)" if at == ("tracking_uri",) else ""
            remedy = f"leave credentials to the environment{mlflow}"
            return f"{field_name(at)}: is a URL with a credential ({kind}), which tables and pages would show; {remedy}"
        if "options" in at and "${" not in text and any(_is_secret_option(str(key)) for key in at):
            remedy = "write ${NAME} and export NAME=…"
            return f"{field_name(at)}: holds a credential, which tables and pages would show; {remedy}"
    return None


def _is_secret_option(name: str) -> bool:
    before, _, last = name.lower().replace("-", "_").rpartition("_")
    return is_secret_name(name) and not (last == "key" and before.rpartition("_")[2] in _KEYS_OF_DATA)


def _texts(value: Any, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*at, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, (*at, number))
