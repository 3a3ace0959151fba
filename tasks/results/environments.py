"""What two runs were made with: the settings that can change a prediction, and where the runs happened."""

from collections.abc import Mapping
from typing import Any

from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.results.sharing import recorded_configuration

Run = Mapping[str, Any]
"""A row of the `runs` table."""
UNKNOWN = "unknown"

SETTINGS = ("window", "vote", "label_map", "ignore_labels", "labels_of", "label_map_of")
"""Fields of `benchmark` that can change a predicted tag; `dtype` stands in the rows themselves."""
COLUMNS = (
    *("host", "cpu", "threads", "ram_bytes", "gpu", "driver", "cuda"),
    *("python", "torch", "transformers", "tokenizers", "prefect", "code_commit", "code_dirty"),
)
"""Columns of `runs` that are compared as they are; `cpu_flags` are compared one by one."""


def same_settings(base: Run | None, candidate: Run | None, base_dtype: str, candidate_dtype: str) -> bool:
    """Whether two runs inferred with the same settings; False where a run left no row that would tell.

    With the same `model_sha256` and words this makes a comparison frozen: every flip is then real.
    """
    if base is None or candidate is None or base_dtype != candidate_dtype:
        return False
    return _settings(base) == _settings(candidate)


def difference(
    base: Run | None, candidate: Run | None, base_dtype: str, candidate_dtype: str
) -> dict[str, dict[str, Any]]:
    """By column or setting, `base` and `candidate` where they differ; of `cpu_flags` those that the other lacks.

    It is about the runs that scored: predictions that a run took from the cache may have been inferred by an earlier
    run, elsewhere. A run without a row in `runs` is said by the entry `run`, and then only `dtype` is compared.
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
    """Those of a run; what its configuration does not say yet had the default's effect."""
    recorded = recorded_configuration(run["configuration"]).get("benchmark", {})
    return BenchmarkConfig().model_dump(mode="json", include=set(SETTINGS)) | {
        name: recorded[name] for name in SETTINGS if name in recorded
    }


def _only_there(base: str | None, candidate: str | None) -> tuple[str | None, str | None]:
    """A hundred flags that both have would hide the one that matters."""
    if base is None or candidate is None:
        return base, candidate
    before, after = set(base.split()), set(candidate.split())
    return " ".join(sorted(before - after)), " ".join(sorted(after - before))


def _name(run: Run | None) -> str:
    return UNKNOWN if run is None else run["run_id"]


def _sides(pairs: Mapping[str, tuple[Any, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {"base": base, "candidate": candidate} for name, (base, candidate) in pairs.items()}
