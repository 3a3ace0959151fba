"""Tables about runs: training, speed, memory and environment."""

from nerbench.artifacts.tables.columns import (
    ARTIFACT_ID,
    DTYPE,
    INSTANT,
    MODEL,
    RUN_ID,
    STARTED_AT,
    TableSchema,
    key,
    table,
    value,
)

DEVICE = key("device", "device of the measurement: `cpu`, `cuda:0`, …")
WORKLOAD = key("workload", "`inference` or `training`")
BATCH_SIZE = value("batch_size", "sentences per batch", "int32")
HEAD = value(
    "head", "head on the encoder: `token` or `none`; null in rows of earlier versions, which means `token`", "string"
)
SINGLE_PROCESS = value(
    "single_process", "true if measured in the process of the command, for debugging; else null", "bool"
)
SEQUENCE_LENGTH = value("sequence_length", "sub-word tokens per sentence; null for real lengths", "int32")
SINCE_SCHEMA_2 = (
    value("started_at", "when the run started; null in rows of schema 1", INSTANT),
    value("attempt", "number of the attempt that wrote the row, from 1; null in rows of schema 1", "int32"),
)
_CELL = (
    *("run_id", "artifact_id", "device", "dtype", "backend", "head", "workload"),
    *("batch_size", "sequence_length"),
)

RUNNING: dict[str, TableSchema] = {
    "training": table(
        RUN_ID,
        STARTED_AT,
        ARTIFACT_ID,
        MODEL,
        value("seed", "random seed of initialisation, batch order and dropout", "int64"),
        key("step", "completed optimizer steps", "int32"),
        value("epoch", "completed passes over the train split"),
        value("loss", "mean training loss since the previous row"),
        value("learning_rate", "learning rate of the step"),
        value("grad_norm", "gradient norm before clipping"),
        *(value(f"validation_{name}", f"{name} on the validation split") for name in ("loss", "accuracy")),
        *(
            value(f"validation_{name}", f"strict entity {name} on the validation split")
            for name in ("precision", "recall", "f1")
        ),
        value("validation_conlleval_f1", "conlleval entity f1 on the validation split"),
        identity=("run_id", "artifact_id", "step", "loss"),
        nondeterministic=("started_at",),
    ),
    "speed": table(
        RUN_ID,
        *SINCE_SCHEMA_2,
        ARTIFACT_ID,
        MODEL,
        DEVICE,
        value("host", "name of the machine", "string"),
        DTYPE,
        value(
            "backend", "the backend: `eager`, `compile`, …; `process`: at the pipe of a process, as taggers", "string"
        ),
        value("threads", "compute threads per process", "int32"),
        value("processes", "number of processes that share the work", "int32"),
        WORKLOAD,
        BATCH_SIZE,
        SEQUENCE_LENGTH,
        key("status", "`ok`, or the reason for missing values"),
        value("n", "number of samples", "int64"),
        value("mean_s", "mean seconds per batch"),
        value("std_s", "standard deviation of the seconds per batch"),
        *(value(f"p{q}_s", f"{q}th percentile of the seconds per batch") for q in (50, 90, 95, 99)),
        *(value(f"{unit}_per_s", f"{unit} per second") for unit in ("sentences", "words", "tokens")),
        value("ci_low_s", "lower end of the confidence interval of the mean, in seconds"),
        value("ci_high_s", "upper end of the confidence interval of the mean, in seconds"),
        value("samples_s", "all samples, in seconds", "list<double>"),
        value("samples_process", "index of the process of each sample, from 0", "list<int32>"),
        *(
            value(f"p{q}_{end}_s", f"{word} end of the confidence interval of the {q}th percentile, in seconds")
            for q in (50, 90, 95, 99)
            for end, word in (("low", "lower"), ("high", "upper"))
        ),
        value("agreement", "share of predictions equal to those of eager fp32"),
        value("dataset", "data set of the sentences with real lengths", "string"),
        value("background_cores", "mean number of cores that other processes used during the measurement"),
        value(
            "sgemm_flops_per_s",
            "floating-point operations per second of a fixed fp32 matrix product, before the measurement",
        ),
        value("copy_bytes_per_s", "bytes read and written per second by a fixed copy, before the measurement"),
        value("min_latency_s", "with a speed gate: median over sentences of the fastest of several passes, in seconds"),
        value("taken_over", "processes with samples of an interrupted sweep; null if there are none", "int32"),
        HEAD,
        SINGLE_PROCESS,
        value("price_per_call", "price of one call of an endpoint, as configured; null for everything else"),
        value("cost_per_million_words", "that price for a million words, by the calls that were made"),
        identity=(*_CELL, "dataset"),
        # Whether a cell has values can depend on the machine of an attempt.
        nondeterministic=(
            *("started_at", "attempt", "device", "host", "threads", "status", "n", "samples_process"),
            *("agreement", "background_cores", "taken_over"),
        ),
    ),
    "memory": table(
        RUN_ID,
        *SINCE_SCHEMA_2,
        ARTIFACT_ID,
        MODEL,
        DEVICE,
        DTYPE,
        WORKLOAD,
        BATCH_SIZE,
        SEQUENCE_LENGTH,
        value("parameters", "number of parameters", "int64"),
        value("weights_bytes", "size of the safetensors files in bytes", "int64"),
        value("artifact_bytes", "size of all files of the artifact in bytes", "int64"),
        value("load_s", "seconds to load the model from local files"),
        value("first_call_s", "seconds of the first call; null if the process had other cells before"),
        value("baseline_rss_bytes", "resident memory before loading, in bytes", "int64"),
        value("peak_rss_bytes", "peak resident memory after loading, in bytes", "int64"),
        value("peak_device_bytes", "peak memory of tensors on the accelerator, in bytes", "int64"),
        value("peak_reserved_bytes", "peak memory reserved by PyTorch on the accelerator, in bytes", "int64"),
        value(
            "peak_process_bytes",
            "peak memory of the process on the accelerator, as its driver reports it, in bytes",
            "int64",
        ),
        value("loaded_weights_bytes", "size of the weights in memory, in bytes", "int64"),
        value("flops_per_token", "floating-point operations per sub-word token at the sequence length"),
        value("backend", "the backend: `eager`, `compile`, …", "string"),
        value("status", "`ok`, or the reason for missing values", "string"),
        HEAD,
        SINGLE_PROCESS,
        identity=_CELL,
        nondeterministic=(
            *("started_at", "attempt", "device", "parameters", "loaded_weights_bytes", "flops_per_token", "status"),
            *("baseline_rss_bytes", "peak_rss_bytes"),
            *("peak_device_bytes", "peak_reserved_bytes", "peak_process_bytes"),
        ),
    ),
    "custom": table(
        RUN_ID,
        STARTED_AT,
        key("attempt", "number of the attempt that wrote the row, from 1", "int32"),
        value("artifact_id", "sha256 of the model's manifest; null for a function that takes no model", "string"),
        value("model", "name of the model", "string"),
        value("dataset", "data set; null for a function that takes neither a corpus nor predictions", "string"),
        value("split", "split of the data set", "string"),
        value("gold", "annotation: the name of the data set, or one of `golds`", "string"),
        key("name", "name of the function, followed by `.key` if it returns several numbers"),
        value("parameters", "arguments other than handles, as JSON", "string"),
        value("tags", "tags of the function, by which `--tags` selects it", "list<string>"),
        value("value", "number that the function returned, in `unit`; null if there is none"),
        value("unit", "unit of the value, as the function declares it", "string"),
        key("status", "`ok`; `undefined` if the function returned no number; or `failed`"),
        value("reason", "why there is no number", "string"),
        value("call_s", "seconds of the call, without loading the handles"),
        value("source", "file of the function, with its digest", "string"),
        identity=("run_id", "artifact_id", "dataset", "split", "gold", "name", "parameters"),
        nondeterministic=("started_at", "attempt", "value", "status", "reason"),
    ),
    "runs": table(
        RUN_ID,
        STARTED_AT,
        key("flow", "`pipeline`, `train`, `benchmark`, …"),
        value("configuration", "complete configuration as JSON", "string"),
        value("code_commit", "commit of the repository, if there is one", "string"),
        value("code_dirty", "whether the repository had uncommitted changes", "bool"),
        value("host", "name of the machine", "string"),
        value("cpu", "model of the processor", "string"),
        value("cpu_flags", "features of the processor, e.g. `avx512_bf16`", "string"),
        value("threads", "compute threads", "int32"),
        value("ram_bytes", "memory of the machine in bytes", "int64"),
        value("gpu", "model of the accelerator", "string"),
        value("driver", "driver version of the accelerator", "string"),
        *(value(name, f"version of {name}", "string") for name in ("cuda", "python", "torch")),
        *(value(name, f"version of {name}", "string") for name in ("transformers", "tokenizers", "prefect")),
        value("evaluated", "number of models × data sets that were inferred", "int32"),
        value("cached", "number of models × data sets with cached predictions", "int32"),
        value("train_s", "seconds of training"),
        value("evaluate_s", "seconds from words in memory to tags in memory, over all models; clean words only"),
        value("score_s", "seconds of scoring"),
        value("total_s", "seconds of the run"),
        key("outcome", "`ok` or `failed`"),
        value("system", "operating system and version", "string"),
        value("architecture", "architecture of the processor", "string"),
        value("cores", "physical cores of the machine", "int32"),
        value("logical_cores", "logical cores of the machine", "int32"),
        value("cpu_mhz", "clock rate of the processor at the end of the run, in MHz"),
        value("cpu_mhz_min", "minimum clock rate of the processor, in MHz"),
        value("cpu_mhz_max", "maximum clock rate of the processor, in MHz"),
        value("governor", "CPU frequency governor, e.g. `performance`", "string"),
        value("gpus", "number of accelerators of the machine", "int32"),
        value("gpu_memory_bytes", "memory of one accelerator in bytes", "int64"),
        value("gpu_power_limit_w", "power limit of one accelerator, in watts"),
        value("gpu_performance_state", "performance state of the accelerator; `P0` is the fastest", "string"),
        value("python_implementation", "Python implementation, e.g. `CPython`", "string"),
        value("onnxruntime", "version of onnxruntime, if installed", "string"),
        value("code_repository", "URL of the repository", "string"),
        value("code_tag", "nearest tag before the commit", "string"),
        value("failures", "what failed: one line `NAME: reason` for each; null if nothing failed", "string"),
        value("robustness_s", "seconds for perturbed words: inference, scoring and tests; null without `robustness`"),
        identity=("run_id", "started_at"),
        # A second attempt may run on another machine, with corrected code, and with predictions already cached.
        nondeterministic=(
            *("started_at", "host", "cpu", "cpu_flags", "threads", "ram_bytes", "gpu", "driver", "cuda"),
            *("code_commit", "code_dirty", "evaluated", "cached", "system", "architecture", "cores", "logical_cores"),
            *("cpu_mhz", "cpu_mhz_min", "cpu_mhz_max", "governor"),
            *("gpus", "gpu_memory_bytes", "gpu_power_limit_w", "gpu_performance_state", "failures"),
        ),
    ),
}
"""Tables by name."""
