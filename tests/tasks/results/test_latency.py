"""The latency sample is found among rows of sweeps, and in tables that are older than sweeps."""

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


def test_a_sweeps_cell_beside_the_sample_is_no_second_one() -> None:
    assert latency_samples([SAMPLE, SAMPLE | {"mean_s": 2.0}]) == [SAMPLE]
    other = SAMPLE | {"artifact_id": "b"}
    assert latency_samples([SAMPLE, other]) == [SAMPLE, other]


def test_rows_without_those_columns_are_the_sample() -> None:
    old = {"artifact_id": "a", "device": "cpu", "backend": None}
    assert latency_samples([old]) == [old]


def test_what_was_measured_at_a_pipe_is_a_sample_of_its_own() -> None:
    process = SAMPLE | {"backend": "process"}
    assert latency_samples([SAMPLE, process]) == [SAMPLE, process]


def test_trends_and_cards_are_about_calls_in_one_process() -> None:
    """A model has both rows only in runs with taggers."""
    eager = SAMPLE | {"run_id": "r", "artifact_id": "a", "p50_s": 0.1}
    process = eager | {"backend": "process", "p50_s": 0.3}
    for rows in ([eager, process], [process, eager]):
        assert history._latencies(rows) == {("r", "a"): 0.1}
        assert card_evidence._in_memory(rows) == [eager]
    assert history._latencies([process]) == {("r", "a"): 0.3}
