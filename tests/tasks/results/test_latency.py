"""The latency sample is found among rows of sweeps, and in tables that are older than sweeps."""

from typing import Any

from nerbench.tasks.results.query import latency_samples

SAMPLE = {"run_id": "r", "artifact_id": "a", "device": "cpu", "dtype": "fp32", "status": "ok"}
SAMPLE |= {"workload": "inference", "backend": "eager", "batch_size": 1, "sequence_length": None, "mean_s": 1.0}


def test_other_cells_are_left_out() -> None:
    others: list[dict[str, Any]] = [
        {"workload": "training"},
        {"backend": "int8"},
        {"batch_size": 8},
        {"sequence_length": 128},
    ]
    assert latency_samples([*(SAMPLE | other for other in others), SAMPLE]) == [SAMPLE]


def test_a_sweeps_cell_beside_the_sample_is_no_second_one() -> None:
    assert latency_samples([SAMPLE, SAMPLE | {"mean_s": 2.0}]) == [SAMPLE]
    other = SAMPLE | {"artifact_id": "b"}
    assert latency_samples([SAMPLE, other]) == [SAMPLE, other]


def test_rows_without_those_columns_are_the_sample() -> None:
    old = {"artifact_id": "a", "device": "cpu", "backend": None}
    assert latency_samples([old]) == [old]
