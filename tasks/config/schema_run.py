"""Configuration of a run: benchmark, gates, speed sweep, task runner, caches and model cards."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from nerbench.artifacts.cache_pruning import Limits
from nerbench.tasks.config.deprecated_keys import warn_deprecated, with_current_names
from nerbench.tasks.config.schema_base import (
    DEFAULT_MODES,
    EXACT_MODES,
    Dtype,
    InferenceBackend,
    InferenceDtype,
    Mode,
    Name,
    Section,
    Split,
    Text,
)
from nerbench.tasks.config.schema_robustness import PerturbationName


class BenchmarkConfig(Section):
    """What the benchmark measures, on which data, and how."""

    models: tuple[str, ...] = ("*@latest",)
    """The models to benchmark: `name`, `name@alias`, `name@sha256:…`, `*@latest`, a folder or an fsspec URL."""
    split: Split = "test"
    """The split to score, for every data set."""
    labels: Literal["all"] | tuple[str, ...] = "all"
    """Entity types that get separate rows, in addition to `overall`."""
    modes: tuple[Mode, ...] = DEFAULT_MODES
    """How entities are matched; must include `strict`. `discard` and `span` repeat numbers of `strict` and `exact`."""
    device: str = "auto"
    """The device for inference: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`."""
    processes: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Processes that infer a corpus together, each on its own GPU or its share of the cores. `auto`: one per GPU if the
    corpus has 64 blocks of 2,048 sentences for each; otherwise one."""
    dtype: InferenceDtype = "fp32"
    """Type of the numbers in inference: `fp32`, `bf16`, `fp16`, or `int8`, which quantizes the linear layers on a CPU
    and changes some tags. Deprecated name: `precision`."""
    backend: InferenceBackend = "torch"
    """The inference engine for models: `torch`; on a CPU also `onnxruntime`, with dtype `fp32` or `int8`, and
    `openvino`, with `fp32`. A model fails if its logits for fixed sentences differ from those of `torch` by more than
    rounding, or with `int8` by more than 0.3 of the largest one; `int8` may change some tags."""
    max_length: int | None = Field(default=None, ge=8)
    """Length of the context window in sub-word tokens, including special tokens; by default, the model's maximum.
    Deprecated name: `window`."""
    aggregation_strategy: Literal["first", "average", "max"] = "first"
    """Which sub-word tokens decide the tag of a word: the first, the average over all, or the most confident one.
    Deprecated: the name `vote` and the value `mean` for `average`."""
    label_map: dict[str, str] = Field(default_factory=dict)
    """Renames entity types of the models to those of the corpus, e.g. `{PERSON: PER}`; `{DATE: O}` ignores one."""
    label_map_of: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Renames entity types of single models, by model name, e.g. `{spacy-sm: {PERSON: PER, GPE: LOC, DATE: O}}`. It
    takes precedence over `label_map` and over the label map that an artifact was imported with. Types of the corpus
    that a model does not have count as missed."""
    ignore_labels: tuple[str, ...] = ()
    """Entity types of the models to treat as `O`."""
    labels_of: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The tags of a model's outputs in order, by model name; for models that only have `LABEL_0`, `LABEL_1`, …"""
    canary: float = Field(default=0.0, ge=0, le=1)
    """Share of a cached model's sentences to infer again and compare, in whole blocks of 2,048 sentences."""
    check_reproducibility: bool = True
    """Fail if the predictions of an unchanged model differ from those of an earlier run with the same settings.
    Deprecated name: `frozen`."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the score intervals."""
    tags: tuple[str, ...] = ()
    """Compute only metrics that have one of these tags; by default, all metrics."""
    speed: bool = True
    """Also measure latency, load time and memory."""
    report: bool = True
    """Also write the report `<results>/reports/<run>.html`."""
    shards: int = Field(default=1, ge=1)
    """Number of parts of a corpus, in whole blocks of 2,048 sentences; each part is inferred and cached separately."""
    text: Literal["keep", "drop"] = "keep"
    """Whether result tables may contain the words of the corpus."""
    refresh: bool = False
    """Run inference again, even if predictions are cached."""

    @model_validator(mode="before")
    @classmethod
    def _has_current_names(cls, data: Any) -> Any:
        keys = ("aggregation_strategy", "check_reproducibility", "dtype", "max_length")
        return with_current_names(data, "benchmark", *keys)

    @model_validator(mode="after")
    def _backend_has_the_dtype(self) -> Self:
        dtypes = {"onnxruntime": ("fp32", "int8"), "openvino": ("fp32",)}.get(self.backend)
        if dtypes and self.dtype not in dtypes:
            problem = f"backend {self.backend} computes {' and '.join(dtypes)}, and dtype is {self.dtype}"
            raise ValueError(f"{problem}; give dtype: {dtypes[0]}, or backend: torch")
        return self

    @field_validator("modes")
    @classmethod
    def _has_the_headline(cls, modes: tuple[Mode, ...]) -> tuple[Mode, ...]:
        if "strict" not in modes:
            raise ValueError("strict is missing, by which reports and gates judge; add it")
        return modes

    @model_validator(mode="after")
    def _processes_have_devices_of_their_own(self) -> Self:
        if self.processes not in {1, "auto"} and (self.device == "mps" or ":" in self.device):
            raise ValueError(
                f"{self.processes} processes need as many devices, and device is {self.device}; give cuda or cpu"
            )
        return self


class GateRule(Section):
    """One score that must not drop below that of the baseline."""

    metric: Literal["precision", "recall", "f1"] = "f1"
    """The metric to compare."""
    label: Text = "overall"
    """An entity type, or `overall` for the micro average."""
    slice: Text = "all"
    """The slice of the entities to compare, e.g. `unseen`."""
    mode: Mode = "strict"
    """The mode in which entities are matched."""
    dataset: Name | None = None
    """The data set to compare on; by default, every data set."""
    gold: Name | None = None
    """The annotation to compare against; by default, the data set's own."""
    perturbation: PerturbationName | None = None
    """The perturbed corpus to compare on, one of `robustness.perturbations`; by default, the data set as it is."""
    margin: float | None = Field(default=None, ge=0, le=100)
    """Largest acceptable drop, in points; by default, the margin of the gate."""

    @model_validator(mode="after")
    def _is_counted(self) -> Self:
        if self.perturbation and (self.slice != "all" or self.gold):
            field = "slice" if self.slice != "all" else "gold"
            raise ValueError(f"perturbed corpora are scored without slices and further golds; leave {field} out")
        if self.slice != "all" and self.mode not in EXACT_MODES:
            raise ValueError(f"slices are scored in the modes {', '.join(EXACT_MODES)} only, not in {self.mode}")
        if self.mode == "span" and self.label != "overall":
            raise ValueError(f"the mode span has no types; give the label overall instead of {self.label}")
        return self


class GateConfig(Section):
    """Comparison with a baseline after every benchmark. A failed rule fails the run."""

    baseline: Text = "champion"
    """The alias that marks the baseline of each model name, or a reference (with `@` or `/`) to one for all models."""
    rules: tuple[GateRule, ...] = Field(default=(GateRule(),), min_length=1)
    """Rules to check for every model; by default, one rule for overall strict F1."""
    margin: float = Field(default=0.5, ge=0, le=100)
    """Largest drop, in points, that is not a regression."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of the difference intervals; the significance level of the tests is 1 − confidence."""
    on_undecided: Literal["fail", "warn"] | None = None
    """What an undecided comparison does. By default, it fails the run if the observed drop exceeds the margin, and
    otherwise warns. The deprecated key `strict: true` means `fail`."""
    promote: bool = False
    """Move the alias to a model that improves by the first rule and fails no rule, and to the first model of a name."""
    promote_on: Split = "validation"
    """The split that decides on promotion; must differ from the benchmark's split."""
    promote_on_reported: bool = False
    """Allow promotion by the benchmark's split; the promotion records this."""

    @property
    def is_alias(self) -> bool:
        """Whether `baseline` is an alias rather than a reference to an artifact."""
        return not {"@", "/"} & set(self.baseline)

    @model_validator(mode="before")
    @classmethod
    def _strict_is_on_undecided(cls, data: Any) -> Any:
        if not (isinstance(data, dict) and "strict" in data):
            return data
        rest = {name: value for name, value in data.items() if name != "strict"}
        if not isinstance(data["strict"], bool):
            raise ValueError(f"strict is {data['strict']}; give on_undecided: fail instead, or leave it out")
        if data["strict"] and rest.setdefault("on_undecided", "fail") != "fail":
            raise ValueError("strict: true and on_undecided: warn contradict each other; leave strict out")
        warn_deprecated("gate.strict", "write on_undecided: fail" if data["strict"] else "leave it out")
        return rest

    @model_validator(mode="after")
    def _has_one_baseline(self) -> Self:
        if "*" in self.baseline:
            raise ValueError(f"baseline is {self.baseline}, which means several models; give an alias, e.g. champion")
        if self.promote and self.rules[0].perturbation:
            raise ValueError("promote decides by the first rule, which names a perturbation; put another rule first")
        if self.promote and not self.is_alias:
            raise ValueError(f"promote moves an alias, and baseline is {self.baseline}; give one, e.g. champion")
        return self


Backend = Literal["eager", "compile", "int8", "onnx"]
Workload = Literal["inference", "training"]
Head = Literal["token", "none"]
Count = Annotated[int, Field(strict=True, ge=1, lt=2**31)]

LENGTHS = (8, 32, 128, 512)
"""Default sequence lengths; those beyond a model's maximum are left out."""


class SpeedGateConfig(Section):
    """When a benchmark fails because a model is slower than in earlier runs. The gate compares `min_latency_s`."""

    slowdown: float = Field(default=10.0, ge=0)
    """Largest acceptable increase in latency, in percent."""
    runs: int = Field(default=28, ge=5, le=90)
    """Number of earlier dates with comparable runs to compare with: on the same host at the same calibrated rate.
    Deprecated name: `nights`."""
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    """One-sided confidence level of the limit from those runs. A latency above the limit is measured once more."""

    @model_validator(mode="before")
    @classmethod
    def _has_current_names(cls, data: Any) -> Any:
        return with_current_names(data, "speed.gate", "runs")


class SpeedConfig(Section):
    """What the speed and memory sweep measures, and for how long."""

    batch_sizes: tuple[Count, ...] = Field(default=(8,), min_length=1)
    """Batch sizes, in sentences."""
    sequence_lengths: tuple[Count | Literal["real"], ...] | None = Field(default=None, min_length=1)
    """Sequence lengths in sub-word tokens. `real` uses the sentences of the first data set, one by one and in batches.
    Default: 8, 32, 128, 512 and real, as far as the model has enough positions and a tokenizer."""
    workloads: tuple[Workload, ...] = Field(default=("inference",), min_length=1)
    """`inference` times a forward pass; `training` a forward pass, a backward pass and an optimizer step."""
    backends: tuple[Backend, ...] = Field(default=("eager",), min_length=1)
    """`eager`, `compile` (torch.compile), `int8` (the quantized layers of `benchmark.dtype: int8`), `onnx` (ONNX
    Runtime)."""
    head: Head | None = None
    """The head on the encoder: `token`, the outputs of a token classifier; `none`, the encoder alone. By default
    `token`, and `none` for a checkpoint that is not a token classifier."""
    dtypes: tuple[Dtype, ...] = Field(default=("fp32",), min_length=1)
    """Floating-point types. Training in bf16 and fp16 uses autocast. Deprecated name: `precisions`."""
    processes: int = Field(default=3, ge=1, le=100)
    """Number of processes that time each cell, one after another. Intervals need at least two."""
    multi_process: bool = True
    """Measure in separate processes. `false` measures once in the process of the command, for debugging: breakpoints
    and tracebacks work, `processes` and `timeout_s` have no effect, and the column `single_process` marks the rows."""
    iterations: int = Field(default=10, ge=1)
    """Minimum number of calls per process and cell, after the warm-up."""
    minimum_s: float = Field(default=1.0, ge=0)
    """Minimum seconds per process and cell, after the warm-up."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds after which a process that is busy with one cell is stopped and the cell is abandoned."""
    nightly: bool = False
    """Also run the sweep after every benchmark that measures speed."""
    gate: SpeedGateConfig | None = None
    """Fail the benchmark if a model is slower than before. Default: no gate."""

    @property
    def rounds(self) -> int:
        """How often each cell is timed."""
        return self.processes if self.multi_process else 1

    @model_validator(mode="before")
    @classmethod
    def _has_current_names(cls, data: Any) -> Any:
        return with_current_names(data, "speed", "dtypes")


_ADDRESS = re.compile(r"[a-z]+://(?:[\w.-]+|\[[0-9a-f:.]+\]):\d+", re.ASCII)
_PROTECTED = re.compile(r"(?:tls|wss)://.*|[a-z]+://(?:localhost|127(?:\.\d{1,3}){3}|\[::1\]):\d+", re.ASCII)
"""Addresses that use TLS or belong to this machine."""


RunnerKind = Literal["threads", "processes", "dask", "ray"]
_CLUSTERS = ("dask", "ray")


class RunnerConfig(Section):
    """Where evaluation and scoring run. `runner: processes` is short for `runner: {kind: processes}`."""

    kind: RunnerKind = "threads"
    """`threads` or `processes` on this machine, or workers of a `dask` or `ray` cluster (the extra of this name)."""
    address: Text | None = None
    """dask: address of the scheduler, e.g. `tls://scheduler:8786`. `tcp://` is allowed for this machine only, because
    Dask sends code to run. Without an address, the run starts its own workers on this machine. ray: address of the
    client server, e.g. `ray://head:10001`; for another machine, the environment needs `RAY_USE_TLS=1`. Workers of a
    cluster need this package, the same store, results, corpora and Prefect server, and one thread each."""
    wait_for_workers_s: float | None = Field(default=None, gt=0)
    """Time that work waits for a cluster without workers, in seconds; then it fails. Default: 600. Set a larger value
    if a batch system (SLURM, LSF) starts the workers. Only allowed together with `address`."""
    workers: int | None = Field(default=None, ge=1)
    """Number of threads or processes. Default: one process per processor; one thread, or eight if the store or the
    results are remote, because waiting threads let others work. Not allowed together with `address`."""
    evaluations: int | None = Field(default=None, ge=1)
    """Maximum number of concurrent inferences (model × data set, or a shard of it). Default: one with `threads`,
    because each holds a model and uses all processors; otherwise the number of workers."""
    cells_per_task: int = Field(default=20, ge=1)
    """Labels per scoring task. Smaller tasks spread the labels of a model over more workers, with more Prefect
    overhead: with one label each, about ten times as much as with 20."""

    @property
    def in_threads(self) -> bool:
        """Whether all tasks run in the flow's process."""
        return self.kind == "threads"

    @property
    def at_once(self) -> int | None:
        """Maximum number of concurrent inferences; None if only the number of workers limits it."""
        return self.evaluations or (1 if self.in_threads else None)

    @property
    def is_protected(self) -> bool:
        """Whether the address uses TLS or belongs to this machine."""
        return bool(self.address and _PROTECTED.fullmatch(self.address))

    @field_validator("address")
    @classmethod
    def _address_has_a_port(cls, address: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        if not address or kind not in _CLUSTERS:  # refused with the reason below
            return address
        example = "ray://head:10001" if kind == "ray" else "tls://scheduler:8786"
        if not _ADDRESS.fullmatch(address) or (kind == "ray") != address.startswith("ray://"):
            raise ValueError(f"{address} is not an address of a scheduler; write e.g. {example}")
        if kind == "dask" and not _PROTECTED.fullmatch(address):
            raise ValueError(
                f"{address} is not protected: Dask sends code to be run; write tls://…, with distributed.comm.tls set"
                " in Dask's configuration, or the address of this machine"
            )
        return address

    @model_validator(mode="after")
    def _address_is_of_a_cluster(self) -> Self:
        if self.address and self.kind not in _CLUSTERS:
            raise ValueError(f"address has no effect with {self.kind}; leave it out, or give the kind dask or ray")
        if self.address and self.workers:
            raise ValueError(f"workers has no effect on the cluster at {self.address}, which has its own; leave it out")
        if self.kind == "ray" and not self.address:
            raise ValueError("ray needs an address, e.g. ray://head:10001; for this machine alone, use processes")
        if self.wait_for_workers_s and not self.address:
            raise ValueError("wait_for_workers_s has no effect without the address of a cluster; leave it out")
        return self


class CacheConfig(Section):
    """Limits of each of two caches: models and tokenized corpora; predictions and counts in the results folder."""

    max_gb: float | None = Field(default=None, ge=0)
    """Maximum size in GB (10⁹ bytes); the end of a run removes the least recently used entries. Default: no limit."""
    max_days: float | None = Field(default=None, ge=0, le=36500)
    """Maximum days since the last use; the end of a run removes older entries. Default: no limit."""

    @property
    def limits(self) -> Limits:
        """The limits in bytes and as a time span."""
        return Limits(
            None if self.max_gb is None else int(self.max_gb * 1e9),
            None if self.max_days is None else timedelta(days=self.max_days),
        )


class EvalResultConfig(Section):
    """A benchmark on the Hub that a data set is a copy of."""

    dataset: Name
    """The name of the data set in this configuration."""
    id: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9][\w.-]*/[a-zA-Z0-9][\w.-]*$")]
    """The Hub id of the benchmark, e.g. `org/conllpp`."""
    task_id: Text
    """The task, as in the file `eval.yaml` of the benchmark."""
    revision: Text | None = None
    """The commit of the benchmark that the data set was copied from."""


class CardConfig(Section):
    """Metadata and texts of model cards. Missing values are left out of a card and reported."""

    license: Text | None = None
    """The Hub's identifier of the licence, e.g. `apache-2.0`."""
    language: tuple[Text, ...] = ()
    """ISO 639 codes, e.g. `[en]`."""
    base_model: Text | None = None
    """The Hub id of the base model, if training started from a local copy of it."""
    datasets: tuple[Text, ...] = ()
    """Hub ids of the training data; by default, those of training data that was read from the Hub."""
    intended_uses: Text | None = None
    """Intended and unintended uses of the model, as plain text that the card shows literally."""
    limitations: Text | None = None
    """Known weaknesses of the model beyond the scores, as plain text."""
    bias: Text | None = None
    """Groups or topics on which the model errs more often, and the consequences, as plain text."""
    eval_results: tuple[EvalResultConfig, ...] = ()
    """Benchmarks on the Hub whose scores to publish beside the card, in `.eval_results/nerbench.yaml`."""
