"""Runs, comparisons and predictions as functions of `import nerbench`, for scripts and notebooks.

They do what the commands of the same names do. A run uses the Prefect API that is configured; without one, the first
run starts a server, which ends with this process. Errors are those of the commands: `NerbenchError` and its subclasses.
"""

from collections.abc import Sequence
from typing import Any

from nerbench.artifacts.references import resolve_one
from nerbench.flows import preflight
from nerbench.flows.launch import quiet
from nerbench.flows.progress_display import show_progress
from nerbench.flows.sweeps import Sweep, changed, measure
from nerbench.tasks.comparison.compare import Comparison, Query
from nerbench.tasks.comparison.compare import compare as compare_runs
from nerbench.tasks.config.loading import SECTIONS, Given, absolute_reference, given_config
from nerbench.tasks.report.data_frames import Results

Row = dict[str, Any]


def run(config: Given = None) -> Results:
    """Train the models of a configuration, store them, and benchmark them; returns the results of this run.

    Args:
        config: A configuration, its file, a mapping with the content of a file, or None for `nerbench.yaml` in the
            working directory, else the demonstration.

    Raises InputError for an invalid request, before anything is written, and RunFailedError if a model failed or the
    gate rejects one; the other results are then in the tables, and `results()` returns them.

    >>> import nerbench
    >>> results = nerbench.run()
    >>> sorted(results.headline()["model"])
    ['tiny-bert', 'tiny-bert-1layer']
    """
    config = given_config(config, SECTIONS)
    return Results(config.results, [preflight.run(config)["run_id"]])


def train(config: Given = None) -> list[str]:
    """Train the models of a configuration and store them; returns their references, `name@sha256:…`.

    Args:
        config: As for `run`.

    Raises like `run`.

    >>> import nerbench
    >>> nerbench.train()
    ['tiny-bert@sha256:...', 'tiny-bert-1layer@sha256:...']
    """
    summary = preflight.train(given_config(config, ("datasets", "models")))
    return [f"{one['name']}@sha256:{one['artifact_id'][:12]}" for one in summary["artifacts"]]


def benchmark(
    models: Sequence[str] | None = None, *, config: Given = None, refresh: bool = False, speed: bool | None = None
) -> Results:
    """Benchmark stored models without training; returns the results of this run.

    Args:
        models: References, such as `tiny-bert@latest`, folders or URLs. Default: `benchmark.models`.
        config: As for `run`.
        refresh: Run inference again, even if predictions are cached.
        speed: Whether to measure latency and memory as well. Default: as configured.

    Raises like `run`.

    >>> import nerbench
    >>> results = nerbench.benchmark(["tiny-bert"], speed=False)
    >>> results.headline()[["model", "dataset"]]
           model dataset
    0  tiny-bert    demo
    """
    config = given_config(config, ("datasets", "golds", "benchmark", "metrics", "slices", "gate"))
    summary = preflight.benchmark(config, _listed(models), refresh=refresh, speed=speed)
    return Results(config.results, [summary["run_id"]])


def score(config: Given = None, *, since: str | None = None) -> list[Row]:
    """Score the stored predictions of earlier runs with the metrics of the configuration, without inference.

    Args:
        config: As for `run`.
        since: Only runs on or after this day, YYYY-MM-DD.

    Returns the rows that were added to the table `metrics`. Raises like `run`.

    >>> import nerbench
    >>> nerbench.score()  # every metric of this configuration has its numbers already
    []
    """
    return list(preflight.score(given_config(config, ("metrics", "slices")), since)["metrics"])


def compare(  # noqa: PLR0913 - one parameter an option of the command
    base: str,
    candidate: str,
    *,
    config: Given = None,
    dataset: str | None = None,
    gold: str | None = None,
    margin: float = 0.5,
    confidence: float = 0.95,
) -> Comparison:
    """Test by stored predictions whether two models differ, or one model on two dates.

    Args:
        base: A stored model: `name` for its newest run, `name#RUN_ID` or `name#DATE` for an earlier one.
        candidate: The same.
        config: As for `run`.
        dataset: Compare on this data set only.
        gold: Compare against this annotation only.
        margin: Largest drop in F1, in points, that is not a regression.
        confidence: Level of the intervals, from 0 to 1.

    The `verdict` of the result is None if the two have no words or annotation in common; `reasons` say why. Raises
    InputError if one of them has no scores.

    >>> import nerbench
    >>> nerbench.compare("tiny-bert", "tiny-bert").verdict
    'pass'
    """
    loaded = given_config(config, ())
    return compare_runs(base, candidate, loaded, Query(dataset, gold, margin, confidence))


def predict(model: str, texts: str | Sequence[str], *, config: Given = None) -> list[Row]:
    """Tag sentences with a model, by the same inference as in a benchmark.

    Args:
        model: A reference, a folder or a URL.
        texts: One sentence or several; they are split into words at white space and around punctuation.
        config: As for `run`.

    Returns for each sentence that has a word a mapping with `text`, `tokens` and `entities`. Entities have `text`,
    `label`, `start` and `end` in characters of `text`, and `score`, a probability.

    >>> import nerbench
    >>> [sentence] = nerbench.predict("tiny-bert", "Clara Novak met the mayor of Bergen.")
    >>> [token["text"] for token in sentence["tokens"]]
    ['Clara', 'Novak', 'met', 'the', 'mayor', 'of', 'Bergen', '.']
    """
    quiet()
    from nerbench.tasks.predicting.tagging import tag
    from nerbench.tasks.predicting.text_reading import text

    loaded = given_config(config, ())
    artifact = resolve_one(absolute_reference(model), loaded.store)
    with show_progress(f"tagging with {artifact.name}"):
        return [one.to_json() for one in tag(artifact, text(_listed(texts)), loaded.benchmark)]


def speed(models: Sequence[str] | None = None, *, config: Given = None, **settings: Any) -> Sweep:
    """Measure latency, throughput and memory over batch sizes, sequence lengths, backends and dtypes.

    Args:
        models: Stored models, folders, Hub ids, names of architectures, or configurations as YAML mappings.
            Default: `benchmark.models` of the configuration.
        config: As for `run`.
        settings: Keys of the section `speed` of the configuration, such as `batch_sizes=[8]`.

    Raises InputError if the request is invalid, RunFailedError if no cell could be measured.

    >>> import nerbench
    >>> sweep = nerbench.speed(["tiny-bert"], batch_sizes=[1], sequence_lengths=[8], processes=1, minimum_s=0.01)
    >>> sweep.to_pandas()[["batch_size", "sequence_length", "status"]]
       batch_size  sequence_length status
    0           1                8     ok
    """
    return measure(changed(given_config(config, ("benchmark",)), settings), _listed(models))


def results(*runs: str, config: Given = None) -> Results:
    """The results of runs that are in the tables.

    Args:
        runs: Run ids, or dates for the newest run of each day. Default: the newest complete run.
        config: As for `run`; its `results` are read.

    Raises InputError if there is no such run.

    >>> import nerbench
    >>> "tiny-bert" in nerbench.results().headline()["model"].tolist()
    True
    """
    return Results(given_config(config, ()).results, runs)


def _listed(given: str | Sequence[str] | None) -> Any:
    """Several texts; a single one is not a sequence of letters."""
    return [given] if isinstance(given, str) else given
