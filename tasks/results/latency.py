"""Which rows of `speed` and `memory` are the latency sample: one sentence at a time, as people ask for it first."""

from collections.abc import Iterable

from nerbench.tasks.scoring.metrics import Row

_IS = {"workload": "inference", "backend": "eager", "batch_size": 1, "sequence_length": None}
_ABOUT = ("run_id", "artifact_id", "device", "dtype", "status")


def latency_samples(rows: Iterable[Row]) -> list[Row]:
    """Those rows among others of sweeps, the first of each model, device and dtype of a run.

    Tables that were written before there were sweeps leave columns out; what they have is the sample.
    """
    found: dict[tuple[object, ...], Row] = {}
    for row in rows:
        if all(row.get(name, value) in (value, None) for name, value in _IS.items()):
            found.setdefault(tuple(row.get(name) for name in _ABOUT), row)
    return list(found.values())
