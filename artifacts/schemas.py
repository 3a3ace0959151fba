"""The result tables, declared once: every column with its type and meaning.

New columns may be added, nullable; none is renamed or removed without a new version.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a result table."""

    name: str
    type: str
    """An Arrow type as Arrow prints it."""
    meaning: str
    """One line; units included."""
    nullable: bool
    """Whether rows may leave it out."""


@dataclass(frozen=True, kw_only=True)
class TableSchema:
    """One result table."""

    version: int
    """Stands in the path of its files."""
    columns: tuple[Column, ...]
    """In the order they are written."""
    volatile: frozenset[str]
    """Columns in which two attempts of one run may differ."""


def _key(name: str, meaning: str, type_: str = "string") -> Column:
    return Column(name=name, type=type_, meaning=meaning, nullable=False)


def _value(name: str, meaning: str, type_: str = "double") -> Column:
    return Column(name=name, type=type_, meaning=meaning, nullable=True)


def _table(*columns: Column, volatile: tuple[str, ...]) -> TableSchema:
    """A first version, in which whatever is measured in or per second may differ as well."""
    seconds = {column.name for column in columns if column.name.endswith("_s")}
    return TableSchema(version=1, columns=columns, volatile=frozenset(volatile) | seconds)


_INSTANT = "timestamp[us, tz=UTC]"
_RUN_ID = _key("run_id", "the run: its deployment and scheduled time, else the id of its flow run")
_STARTED_AT = _key("started_at", "when the run started", _INSTANT)
_ARTIFACT_ID = _key("artifact_id", "sha256 of the model's manifest")
_MODEL = _key("model", "the name the model is known by")
_DEVICE = _key("device", "where it was measured: `cpu`, `cuda:0`, …")
_PRECISION = _key("precision", "arithmetic of the inference: `fp32`, `bf16`, `fp16`")
_WORKLOAD = _key("workload", "`inference` or `training`")
_BATCH_SIZE = _value("batch_size", "sentences a batch", "int32")
_SEQUENCE_LENGTH = _value("sequence_length", "pieces a sentence; null on real lengths", "int32")

TABLES: dict[str, TableSchema] = {
    "metrics": _table(
        _RUN_ID,
        _STARTED_AT,
        _key("attempt", "which attempt of the run wrote it, from 1", "int32"),
        _ARTIFACT_ID,
        _key("model_sha256", "sha256 over weights, configuration and tokenizer files alone"),
        _MODEL,
        _key("dataset", "the corpus that was scored on"),
        _key("split", "its split"),
        _value("words_sha256", "sha256 of the words with sentence and document boundaries", "string"),
        _key("gold", "the annotation scored against: the dataset's name, or one of `golds`"),
        _value("gold_sha256", "sha256 of the annotation's tags", "string"),
        _value("predictions_digest", "sha256 of the predictions behind the number", "string"),
        _PRECISION,
        _key("slice", "which words: `all`, or `unseen`, `all_caps`, `length_1`, …"),
        _key("level", "`entity` or `token`"),
        _key("mode", "entity: `strict`, `conlleval`, `discard`, `exact`, `partial`, `type`, `span`; token: `tag`"),
        _key("label", "`PER`, `B-PER`, …, or `overall`"),
        _value(
            "average",
            "`micro`, `macro` (labels in gold or predicted), `weighted` (support); empty for one label",
            "string",
        ),
        _key("metric", "`precision`, `recall`, `f1`; `accuracy` at token level only"),
        _value("value", "in 0…1; null where undefined"),
        _value("ci_low", "lower end of the confidence interval; null where not asked for"),
        _value("ci_high", "upper end of the confidence interval; null where not asked for"),
        _value("ci_method", "how the interval was found", "string"),
        _value("confidence", "of the interval, e.g. 0.95"),
        _value("tp", "what is right", "int64"),
        _value("n_pred", "what was predicted", "int64"),
        _value("n_gold", "what is in the annotation", "int64"),
        _value("support", "as n_gold", "int64"),
        _value("n_documents", "documents counted over", "int64"),
        _key("status", "`ok`, or that there is no number"),
        _value("reason", "why there is no number", "string"),
        _value("std", "standard deviation, where the value is a mean over seeds"),
        _value("n_models", "models the value is a mean over; null for one model", "int32"),
        volatile=("started_at", "attempt"),
    ),
    "predictions": _table(
        _ARTIFACT_ID,
        _key("words_sha256", "sha256 of the words with sentence and document boundaries"),
        _key("gold_sha256", "sha256 of the annotation's tags"),
        _key("predictions_digest", "sha256 over document, sentence, word and predicted tag"),
        _MODEL,
        _key("dataset", "the corpus"),
        _key("gold", "the annotation: the dataset's name, or one of `golds`"),
        _key("split", "its split"),
        _PRECISION,
        _value("document", "number of the document in the split, from 0; null without boundaries", "int32"),
        _key("sentence", "number of the sentence in the split, from 0", "int32"),
        _key("word", "number of the word in the split, from 0", "int32"),
        _value("text", "the word; null with `text: drop`", "string"),
        _key("gold_tag", "what the annotation says"),
        _key("pred_tag", "what the model says"),
        _value("score", "probability of the predicted tag at the word's deciding piece", "float"),
        _value("probabilities", "of all the model's labels, by their number", "list<halffloat>"),
        # The file's key names words, tags and predictions by digest; what they are called, and scores, may differ.
        volatile=("model", "dataset", "gold", "split", "precision", "text", "score", "probabilities"),
    ),
    "training": _table(
        _RUN_ID,
        _STARTED_AT,
        _ARTIFACT_ID,
        _MODEL,
        _value("seed", "of initialisation, order and dropout", "int64"),
        _key("step", "optimizer steps done", "int32"),
        _value("epoch", "passes over the train split done"),
        _value("loss", "mean loss of the train split since the row before"),
        _value("learning_rate", "of that step"),
        _value("grad_norm", "norm of the gradient, before clipping"),
        *(_value(f"validation_{name}", f"{name} on the validation split") for name in ("loss", "accuracy")),
        *(_value(f"validation_{name}", f"strict entity {name}, validation") for name in ("precision", "recall", "f1")),
        _value("validation_conlleval_f1", "conlleval entity f1, validation"),
        volatile=("started_at",),
    ),
    "speed": _table(
        _RUN_ID,
        _ARTIFACT_ID,
        _MODEL,
        _DEVICE,
        _value("host", "the machine", "string"),
        _PRECISION,
        _value("backend", "what computes: `eager`, `compile`, …", "string"),
        _value("threads", "of the arithmetic, a process", "int32"),
        _value("processes", "that share the work", "int32"),
        _WORKLOAD,
        _BATCH_SIZE,
        _SEQUENCE_LENGTH,
        _key("status", "`ok`, or why there is no number"),
        _value("n", "samples", "int64"),
        _value("mean_s", "mean seconds a batch"),
        _value("std_s", "standard deviation of the seconds a batch"),
        *(_value(f"p{q}_s", f"{q}th percentile of the seconds a batch") for q in (50, 90, 95, 99)),
        *(_value(f"{unit}_per_s", f"{unit} a second") for unit in ("sentences", "words", "tokens")),
        _value("ci_low_s", "lower end of the mean's confidence interval, seconds"),
        _value("ci_high_s", "upper end of the mean's confidence interval, seconds"),
        _value("samples_s", "every sample, seconds", "list<double>"),
        volatile=("host", "threads", "n"),
    ),
    "memory": _table(
        _RUN_ID,
        _ARTIFACT_ID,
        _MODEL,
        _DEVICE,
        _PRECISION,
        _WORKLOAD,
        _BATCH_SIZE,
        _SEQUENCE_LENGTH,
        _value("parameters", "numbers in the model", "int64"),
        _value("weights_bytes", "bytes of the safetensors files", "int64"),
        _value("artifact_bytes", "bytes of the artifact's files", "int64"),
        _value("load_s", "seconds from local files to a model in memory"),
        _value("first_call_s", "seconds of the first call"),
        _value("baseline_rss_bytes", "resident memory before loading", "int64"),
        _value("peak_rss_bytes", "the largest resident memory", "int64"),
        _value("peak_device_bytes", "the largest memory on the accelerator", "int64"),
        volatile=("baseline_rss_bytes", "peak_rss_bytes", "peak_device_bytes"),
    ),
    "runs": _table(
        _RUN_ID,
        _STARTED_AT,
        _key("flow", "`pipeline`, `train`, `benchmark`, …"),
        _value("configuration", "the whole configuration, JSON", "string"),
        _value("code_commit", "of the repository, where there is one", "string"),
        _value("code_dirty", "whether it had uncommitted changes", "bool"),
        _value("host", "the machine", "string"),
        _value("cpu", "its processor", "string"),
        _value("cpu_flags", "what the processor can do, e.g. `avx512_bf16`", "string"),
        _value("threads", "of the arithmetic", "int32"),
        _value("ram_bytes", "memory of the machine", "int64"),
        _value("gpu", "its accelerator", "string"),
        _value("driver", "the accelerator's driver", "string"),
        *(_value(name, f"version of {name}", "string") for name in ("cuda", "python", "torch")),
        *(_value(name, f"version of {name}", "string") for name in ("transformers", "tokenizers", "prefect")),
        _value("evaluated", "models × datasets with inference", "int32"),
        _value("cached", "models × datasets whose predictions were there already", "int32"),
        _value("train_s", "seconds of training"),
        _value("evaluate_s", "seconds from words in memory to tags in memory, all models"),
        _value("score_s", "seconds of scoring"),
        _value("total_s", "seconds of the run"),
        _key("outcome", "`ok` or `failed`"),
        # A second attempt may run elsewhere, and finds predictions cached.
        volatile=(
            *("started_at", "host", "cpu", "cpu_flags", "threads", "ram_bytes", "gpu", "driver", "cuda"),
            *("evaluated", "cached"),
        ),
    ),
}
"""By name."""


@cache
def schema(table: str) -> "pa.Schema":
    """The Arrow schema of a table; each field's metadata holds its `meaning`. Raises KeyError for an unknown table."""
    import pyarrow as pa

    types = {
        _INSTANT: pa.timestamp("us", tz="UTC"),
        "list<double>": pa.list_(pa.float64()),
        "list<halffloat>": pa.list_(pa.float16()),
    }
    return pa.schema(
        pa.field(
            column.name,
            types.get(column.type) or pa.type_for_alias(column.type),
            nullable=column.nullable,
            metadata={"meaning": column.meaning},
        )
        for column in TABLES[table].columns
    )
