"""The whole configuration of a run."""

from typing import Any, Literal, Self

from pydantic import PrivateAttr, model_validator

from nerbench.tasks.config.benchmark import BenchmarkConfig
from nerbench.tasks.config.cache import CacheConfig
from nerbench.tasks.config.card import CardConfig
from nerbench.tasks.config.credentials import find_credential
from nerbench.tasks.config.datasets import DatasetConfig, GoldConfig
from nerbench.tasks.config.gate import GateConfig
from nerbench.tasks.config.metrics import EvaluateMetric
from nerbench.tasks.config.models import ModelConfig
from nerbench.tasks.config.runner import RunnerConfig
from nerbench.tasks.config.section import Mode, Section, Text
from nerbench.tasks.config.slices import SliceConfig
from nerbench.tasks.config.speed import SpeedConfig


class Config(Section):
    """Everything one run needs."""

    store: Text = "./var/artifacts"
    """Where models are published: a folder or any fsspec URL."""
    results: Text = "./var/results"
    """Where result tables and cached predictions go: a folder or any fsspec URL."""
    datasets: tuple[DatasetConfig, ...] = ()
    """The corpora; `dataset:` with one mapping is accepted too."""
    golds: tuple[GoldConfig, ...] = ()
    """Further annotations of the same words."""
    models: tuple[ModelConfig, ...] = ()
    """The models to train."""
    benchmark: BenchmarkConfig = BenchmarkConfig()
    """What the benchmark measures."""
    speed: SpeedConfig = SpeedConfig()
    """What a sweep of speed and memory measures."""
    metrics: tuple[Text | EvaluateMetric, ...] = ()
    """Files with metrics and benchmark functions of your own, e.g. `my_metrics.py`, and metrics of the library
    `evaluate` by their scripts, e.g. `{evaluate: seqeval.py}`."""
    slices: tuple[SliceConfig, ...] = ()
    """Parts of the entities of your own that are scored too."""
    runner: RunnerConfig = RunnerConfig()
    """Where the work is done: `threads`, `processes` or `dask`."""
    gate: GateConfig | None = None
    """What lets a benchmark fail; nothing by default."""
    card: CardConfig = CardConfig()
    """Metadata and texts of model cards."""
    cache: CacheConfig = CacheConfig()
    """Limits of what is kept to spare work; none by default."""
    track: Literal["mlflow"] | None = None
    """`mlflow`: a run's numbers are logged there too, one MLflow run a model (extra `mlflow`); nothing by default."""
    tracking_uri: Text | None = None
    """Where to: a tracking server's URL, or `sqlite:///mlflow.db`; MLflow's own MLFLOW_TRACKING_URI by default."""

    _written: dict[tuple[str | int, ...], tuple[str, str]] = PrivateAttr(default_factory=dict)
    """By place, a location with its variables expanded, and as it was written."""

    def with_written(self, written: dict[tuple[str | int, ...], tuple[str, str]]) -> Self:
        """The same configuration, which knows how these locations were written."""
        copy = self.model_copy()
        copy._written = written
        return copy

    def as_written(self) -> dict[str, Any]:
        """Plain data to record and show: where a location was written with variables, it has their names."""
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
        """The models to train, one for each seed."""
        return tuple(one for model in self.models for one in model.each_seed)

    @property
    def modes(self) -> tuple[Mode, ...]:
        """How entities are matched: the benchmark's modes, and those that rules of the gate name."""
        rules = self.gate.rules if self.gate else ()
        return tuple(dict.fromkeys((*self.benchmark.modes, *(rule.mode for rule in rules))))

    def dataset_of(self, model: ModelConfig) -> DatasetConfig:
        """The data set that a model is trained on."""
        return next(d for d in self.datasets if model.dataset in (None, d.name))

    @model_validator(mode="before")
    @classmethod
    def _single_dataset(cls, data: Any) -> Any:
        if isinstance(data, dict) and "dataset" in data:
            if "datasets" in data:
                raise ValueError("dataset: stands beside datasets; put it into that list")
            data = dict(data)
            data["datasets"] = [data.pop("dataset")]
        return data

    @model_validator(mode="after")
    def _holds_no_credential(self) -> Self:
        if problem := find_credential(self.model_dump()):
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _tracking_is_asked_for(self) -> Self:
        if self.tracking_uri and not self.track:
            raise ValueError("tracking_uri: says nothing without track; add `track: mlflow`")
        return self

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        for field, names in (
            ("datasets", [d.name for d in self.datasets]),
            ("models", [m.name for m in self.trained_models] + [m.name for m in self.models if m.seeds]),
            ("golds", [*(g.name for g in self.golds), *(d.name for d in self.datasets)]),
            ("slices", [s.name for s in self.slices]),
        ):
            if twice := sorted({n for n in names if names.count(n) > 1}):
                raise ValueError(f"{field}: the name {twice[0]} is used twice; rename one")
        known = sorted(d.name for d in self.datasets)
        remedy = f"name one of {', '.join(known)}" if known else "add that data set"
        for model in self.models:
            if model.dataset and model.dataset not in known:
                raise ValueError(f"models: {model.name} trains on {model.dataset}; {remedy}")
        for gold in self.golds:
            if gold.dataset not in known:
                raise ValueError(f"golds: {gold.name} annotates {gold.dataset}; {remedy}")
        for rule in self.gate.rules if self.gate else ():
            if rule.dataset and rule.dataset not in known:
                raise ValueError(f"gate: a rule is about the data set {rule.dataset}; {remedy}")
            annotations = {g.name for g in self.golds} | {*known}
            if rule.gold and rule.gold not in annotations:
                choices = ", ".join(sorted(annotations))
                raise ValueError(f"gate: a rule is about the gold {rule.gold}; name one of {choices}")
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
