"""The settings and environments of two runs, and the differences between them."""

from collections.abc import Mapping
from typing import Any

from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.config.deprecated_keys import in_current_terms
from nerbench.tasks.results.redaction import recorded_configuration

Run = Mapping[str, Any]
"""A row of the table `runs`."""
UNKNOWN = "unknown"

SETTINGS = ("max_length", "aggregation_strategy", "label_map", "ignore_labels", "labels_of", "label_map_of", "backend")
"""Keys of `benchmark` that can change a predicted tag. `dtype` is not here, because the rows have it."""
COLUMNS = (
    *("host", "cpu", "threads", "ram_bytes", "gpu", "driver", "cuda"),
    *("python", "torch", "transformers", "tokenizers", "prefect", "code_commit", "code_dirty"),
)
"""Columns of `runs` to compare as they are; `cpu_flags` are compared one by one."""
READ_COLUMNS = ("run_id", "started_at", "configuration", "cpu_flags", *COLUMNS)
"""Columns of `runs` that `difference` and the order of runs need."""


def same_settings(base: Run | None, candidate: Run | None, base_dtype: str, candidate_dtype: str) -> bool:
    """Whether two runs inferred with the same settings; False if one of them has no row in `runs`.

    If `model_sha256` and words are also the same, every flip between the two is real.
    """
    if base is None or candidate is None or base_dtype != candidate_dtype:
        return False
    return _settings(base) == _settings(candidate)


def difference(
    base: Run | None, candidate: Run | None, base_dtype: str, candidate_dtype: str
) -> dict[str, dict[str, Any]]:
    """By column or setting, the values of `base` and `candidate` that differ; for `cpu_flags`, the flags that only one
    has.

    The comparison is between the runs that scored. An earlier run, on another machine, may have inferred cached
    predictions. If a run has no row in `runs`, there is an entry `run`, and only `dtype` is compared.
    """
    pairs: dict[str, tuple[Any, Any]] = {"dtype": (base_dtype, candidate_dtype)}
    if base is None or candidate is None:
        pairs["run"] = (_name(base), _name(candidate))
        return _sides({name: pair for name, pair in pairs.items() if UNKNOWN in pair or pair[0] != pair[1]})
    pairs |= {name: (base.get(name), candidate.get(name)) for name in COLUMNS}
    pairs["cpu_flags"] = _only_there(base.get("cpu_flags"), candidate.get("cpu_flags"))
    before, after = _settings(base), _settings(candidate)
    pairs |= {name: (before[name], after[name]) for name in SETTINGS}
    return _sides({name: pair for name, pair in pairs.items() if pair[0] != pair[1]})


def _settings(run: Run) -> dict[str, Any]:
    """The settings of a run. Settings that did not exist yet have their default."""
    recorded = in_current_terms(recorded_configuration(run["configuration"]).get("benchmark", {}), SETTINGS)
    return BenchmarkConfig().model_dump(mode="json", include=set(SETTINGS)) | {
        name: recorded[name] for name in SETTINGS if name in recorded
    }


def _only_there(base: str | None, candidate: str | None) -> tuple[str | None, str | None]:
    """Only differing flags are shown: they would be lost among a hundred common ones."""
    if base is None or candidate is None:
        return base, candidate
    before, after = set(base.split()), set(candidate.split())
    return " ".join(sorted(before - after)), " ".join(sorted(after - before))


def _name(run: Run | None) -> str:
    return UNKNOWN if run is None else run["run_id"]


def _sides(pairs: Mapping[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {"base": base, "candidate": candidate} for name, (base, candidate) in pairs.items()}
