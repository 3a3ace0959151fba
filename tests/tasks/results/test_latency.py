"""The latency sample is found among rows of sweeps, and in tables from before sweeps."""

from typing import Any

from nerbench.tasks.publishing import card_evidence
from nerbench.tasks.report import history
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


def test_a_cell_of_a_sweep_is_not_a_second_sample() -> None:
    assert latency_samples([SAMPLE, SAMPLE | {"mean_s": 2.0}]) == [SAMPLE]
    other = SAMPLE | {"artifact_id": "b"}
    assert latency_samples([SAMPLE, other]) == [SAMPLE, other]


def test_rows_without_those_columns_are_the_sample() -> None:
    old = {"artifact_id": "a", "device": "cpu", "backend": None}
    assert latency_samples([old]) == [old]


def test_a_measurement_at_a_pipe_is_a_separate_sample() -> None:
    process = SAMPLE | {"backend": "process"}
    assert latency_samples([SAMPLE, process]) == [SAMPLE, process]


def test_trends_and_cards_are_about_calls_in_one_process() -> None:
    """A model has both rows only in runs that include taggers."""
    eager = SAMPLE | {"run_id": "r", "artifact_id": "a", "p50_s": 0.1}
    process = eager | {"backend": "process", "p50_s": 0.3}
    for rows in ([eager, process], [process, eager]):
        assert history._latencies(rows) == {("r", "a"): 0.1}
        assert card_evidence._in_memory(rows) == [eager]
    assert history._latencies([process]) == {("r", "a"): 0.3}
