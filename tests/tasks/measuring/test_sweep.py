"""The parent of a sweep: the processes that it would start, and their failures. No process is started."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweeping import tiny

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import BenchmarkConfig, Config, SpeedConfig
from nerbench.tasks.measuring import sweep as module
from nerbench.tasks.measuring.interrupted_sweeps import Journal
from nerbench.tasks.measuring.plan import Cell, plan
from nerbench.tasks.measuring.speed_rows import memory_row, speed_row, sweep_and_write
from nerbench.tasks.measuring.subjects import find_subjects
from nerbench.tasks.measuring.sweep import Measured, sweep
from nerbench.tasks.run_identity import Run, utc_now

HOST = {"event": "host", "device": "cpu", "threads": 1, "sgemm_flops_per_s": 1e9, "copy_bytes_per_s": 2e9}
Emit = Callable[[dict[str, Any]], None]


class Processes:
    """A fake for all processes: it records their jobs, and dies at given cells."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.deaths: dict[tuple[str, int], str] = {}
        """By kind of measurement and sequence length, the error with which the process ends."""
        self.interrupted_at: int | None = None
        """The number of the process, from 1, that is interrupted after its first cell."""
        self.failures: dict[int, str] = {}
        """By sequence length, the status of a cell whose process continues."""

    def run(self, module: str, job: dict[str, Any], *, what: str, on_event: Emit = lambda event: None) -> Any:
        self.jobs.append({"module": module, **job})
        if module.endswith("export"):
            return {}
        if job["take"] == "memory":
            for number, cell in enumerate(job["cells"]):
                on_event({"event": "cell", "cell": number})
                self._die("memory", cell)
                on_event({"event": "used", "cell": number, "status": "ok", "used": {"peak_rss_bytes": 100}})
            return {}
        on_event(HOST)
        for number, cell in enumerate(job["cells"]):
            on_event({"event": "cell", "cell": number})
            self._die("time", cell)
            on_event({"event": "timed", "cell": number, **self._timed(cell)})
            if len(self.jobs) == self.interrupted_at:
                raise KeyboardInterrupt
        self._die("compare", Cell(0, 0))
        return {"agreement": 0.5 if job["compare"] else None}

    def _timed(self, cell: Cell) -> dict[str, Any]:
        if cell.sequence_length in self.failures:
            return {"status": self.failures[cell.sequence_length]}
        return {"status": "ok", "samples": [0.1, 0.2], "amounts": [[8, None, 64]], "foreign_cores": 0.25}

    def _die(self, take: str, cell: Cell) -> None:
        if text := self.deaths.get((take, cell.sequence_length or 0)):
            raise RunFailedError(text)


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> Processes:
    found = Processes()
    monkeypatch.setattr(module, "run_child", found.run)
    return found


@pytest.fixture
def swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Measured]]:
    """A sweep of one model with a journal of earlier sweeps in the test."""
    monkeypatch.setattr("nerbench.tasks.measuring.process.machine_state.resets_peaks", lambda: True)

    def run(**speed: Any) -> list[Measured]:
        config = SpeedConfig(**{"sequence_lengths": (8, 16, 32), **speed})
        groups = plan([tiny()], config, device="cpu", corpus=False)
        (cells,) = sweep(groups, config, BenchmarkConfig(device="cpu"), [], Journal(tmp_path))
        return cells

    return run


Swept = Callable[..., list[Measured]]


def statuses(measured: list[Measured]) -> list[str]:
    return [one.status for one in measured]


def test_a_group_has_a_process_for_memory_and_three_for_time_interleaved(swept: Swept, processes: Processes) -> None:
    found = swept(dtypes=("fp32", "bf16"))
    asked = [(job["take"], job["precision"], job.get("round")) for job in processes.jobs]
    assert asked[:2] == [("memory", precision, None) for precision in ("fp32", "bf16")]
    assert asked[2:] == [("time", precision, number) for number in range(3) for precision in ("fp32", "bf16")]
    assert statuses(found) == ["ok"] * 6
    assert [one.samples for one in found] == [[[0.1, 0.2]] * 3] * 6
    assert [len(one.hosts) for one in found] == [3] * 6
    assert found[0].amounts == [[(8, None, 64)] * 2] * 3
    assert found[0].foreign == [0.25] * 3
    assert [one.memory["peak_rss_bytes"] for one in found] == [100] * 6
    flops = [one.memory["flops_per_token"] for one in found[:3]]
    assert flops == sorted(set(flops))


def test_if_peaks_persist_each_cell_has_its_own_memory_process(
    swept: Swept, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lengths(**speed: Any) -> list[list[int]]:
        processes.jobs.clear()
        swept(processes=1, **speed)
        memory = (job for job in processes.jobs if job["take"] == "memory")
        return [[cell.sequence_length for cell in job["cells"]] for job in memory]

    assert lengths(sequence_lengths=(32, 8, 16)) == [[8, 16, 32]]
    assert lengths(backends=("int8",)) == [[8, 16, 32]]
    assert lengths(backends=("compile",)) == lengths(workloads=("training",)) == [[8], [16], [32]]
    monkeypatch.setattr("nerbench.tasks.measuring.process.machine_state.resets_peaks", lambda: False)
    assert lengths(iterations=11) == [[8], [16], [32]]


def test_cells_without_enough_memory_are_left_out_and_larger_cells_are_tried(
    swept: Swept, processes: Processes
) -> None:
    processes.deaths["memory", 16] = "measuring was killed by SIGKILL (the system may have run out of memory)"
    assert statuses(swept(processes=1)) == ["ok", "out of memory", "ok"]
    cells = [[cell.sequence_length for cell in job["cells"]] for job in processes.jobs]
    assert cells == [[8, 16, 32], [32], [8, 32]]


def test_a_single_process_is_this_one_and_recorded(
    swept: Swept, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = swept(multi_process=False, sequence_lengths=(8, 16), minimum_s=0, iterations=2)
    assert processes.jobs == []
    assert statuses(found) == ["ok", "ok"]
    assert [len(one.samples) for one in found] == [1, 1]
    assert all(one.memory["peak_rss_bytes"] > 10e6 for one in found)
    for row in (speed_row(found[0], "cpu", None), memory_row(found[0], "cpu", None)):
        assert row["single_process"] is True
    (other, _) = swept(sequence_lengths=(8, 16), minimum_s=0, iterations=2)
    assert processes.jobs, "nothing that was measured here is taken over"
    assert speed_row(other, "cpu", None)["single_process"] is None

    def work_of(*_: Any) -> Any:
        raise ZeroDivisionError("mine")

    monkeypatch.setattr("nerbench.tasks.measuring.process.child.work_of", work_of)
    with pytest.raises(ZeroDivisionError, match="mine"):
        swept(multi_process=False, sequence_lengths=(32,))


def test_predictions_are_compared_once_and_the_reference_never(swept: Swept, processes: Processes) -> None:
    found = swept(dtypes=("fp32", "bf16"))
    compared = [(job["precision"], job["round"]) for job in processes.jobs if job.get("compare")]
    assert compared == [("bf16", 0)]
    assert [one.agreement for one in found] == [None] * 3 + [0.5] * 3


def test_a_timeout_is_of_one_cell_and_another_process_continues(swept: Swept, processes: Processes) -> None:
    processes.deaths["time", 16] = "measuring was killed by SIGALRM"
    found = swept()
    assert statuses(found) == ["ok", "timeout", "ok"]
    assert [len(one.samples) for one in found] == [3, 0, 3]
    timing = [[cell.sequence_length for cell in job["cells"]] for job in processes.jobs if job["take"] == "time"]
    assert timing == [[8, 16, 32], [32], [8, 32], [8, 32]]


def test_a_killed_process_has_run_out_of_memory(swept: Swept, processes: Processes) -> None:
    processes.deaths["memory", 32] = "measuring was killed by SIGKILL (the system may have run out of memory)"
    assert statuses(swept()) == ["ok", "ok", "out of memory"]
    assert all(Cell(8, 32) not in job["cells"] for job in processes.jobs if job["take"] == "time")


def test_a_cell_that_fails_in_a_process_that_lives_on(swept: Swept, processes: Processes) -> None:
    processes.failures[8] = "out of memory"
    assert statuses(swept()) == ["out of memory", "ok", "ok"]
    assert sum(job["take"] == "time" for job in processes.jobs) == 3


def test_a_process_that_dies_before_its_first_cell_fails_all_its_cells(swept: Swept, processes: Processes) -> None:
    processes.run = lambda module, job, **_: (_ for _ in ()).throw(RunFailedError("measuring failed: no such model"))  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_child", processes.run)
        assert statuses(swept()) == ["failed: measuring failed: no such model"] * 3


def test_a_crash_after_the_last_cell_loses_nothing(swept: Swept, processes: Processes) -> None:
    processes.deaths["compare", 0] = "measuring was killed by SIGKILL"
    found = swept()
    assert statuses(found) == ["ok"] * 3
    assert [len(one.samples) for one in found] == [3] * 3


def test_unavailable_cells_start_no_process(swept: Swept, processes: Processes) -> None:
    found = swept(workloads=("inference", "training"), backends=("int8",), processes=1)
    assert statuses(found) == ["ok"] * 3 + ["unavailable: int8 does not train"] * 3
    assert {job["workload"] for job in processes.jobs} == {"inference"}


def test_onnx_is_exported_once_before_it_is_measured(
    swept: Swept, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nerbench.tasks.measuring.plan.why_unavailable", lambda *way: None)
    swept(backends=("onnx",), processes=1)
    assert [job["module"].rpartition(".")[2] for job in processes.jobs] == ["export", *["child"] * 4]
    assert len({job["onnx"] for job in processes.jobs}) == 1


def test_an_interrupted_sweep_measures_only_missing_cells(swept: Swept, processes: Processes) -> None:
    processes.interrupted_at = 4
    with pytest.raises(KeyboardInterrupt):
        swept(dtypes=("fp32", "bf16"))
    done = len(processes.jobs)
    found = swept(dtypes=("fp32", "bf16"))
    again = [(job["take"], job["precision"], job.get("round"), len(job["cells"])) for job in processes.jobs[done:]]
    # two processes took memory; the first timed the cells of fp32; the second, one cell of bf16, uncompared
    assert again == [
        *[("time", "bf16", 0, 3)],
        *[("time", precision, number, 3) for number in (1, 2) for precision in ("fp32", "bf16")],
    ]
    assert [one.samples for one in found] == [[[0.1, 0.2]] * 3] * 6
    assert [len(one.hosts) for one in found] == [3] * 6
    assert [len(one.kept) for one in found] == [1, 1, 1, 0, 0, 0]
    assert [one.agreement for one in found] == [None] * 3 + [0.5] * 3


def test_other_settings_reuse_nothing_and_fewer_processes_do(swept: Swept, processes: Processes) -> None:
    swept()
    done = len(processes.jobs)
    swept(processes=2)
    assert len(processes.jobs) == done
    swept(iterations=11)
    assert len(processes.jobs) == 2 * done


def test_a_timeout_is_reused_and_other_failures_are_retried(swept: Swept, processes: Processes) -> None:
    processes.deaths["time", 16] = "measuring was killed by SIGALRM"
    processes.failures[32] = "failed: once"
    assert statuses(swept()) == ["ok", "timeout", "failed: once"]
    processes.deaths.clear()
    processes.failures.clear()
    assert statuses(swept()) == ["ok", "timeout", "ok"]


def test_a_model_is_handed_over_before_the_next_one_is_finished(tmp_path: Path, processes: Processes) -> None:
    config = SpeedConfig(sequence_lengths=(8,))
    groups = plan([tiny(), *find_subjects(["bert-base"], "unused")], config, device="cpu", corpus=False)
    models = sweep(groups, config, BenchmarkConfig(device="cpu"), [], Journal(tmp_path))
    (first,) = next(models)
    assert (first.group.subject.name, len(first.samples)) == (tiny().name, 3)
    assert processes.jobs[-1]["settings"] == tiny().settings
    assert [cell.group.subject.name for (cell,) in models] == ["bert-base"]


def test_rows_of_a_finished_model_stay_and_the_repeated_sweep_has_those_of_all(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    results = str(tmp_path / "results")
    speed = {"sequence_lengths": (8, 16)}
    config = Config.model_validate({"results": results, "speed": speed, "benchmark": {"device": "cpu"}})
    subjects = [tiny(), *find_subjects(["bert-base"], "unused")]

    def rows_of(run_id: str) -> Any:
        return read_results(results, "speed", filters=[("run_id", "=", run_id)]).to_pylist()

    def run(run_id: str) -> Run:
        return Run(run_id=run_id, flow="speed", date="2030-01-01", started_at=utc_now(), attempt=1, results=results)

    processes.interrupted_at = 8  # the last one: 2 for memory, 2 × 3 for time
    with pytest.raises(KeyboardInterrupt):
        sweep_and_write(run("killed"), config, subjects)
    assert {row["model"] for row in rows_of("killed")} == {tiny().name}
    sweep_and_write(run("repeated"), config, subjects)
    assert [len(job["cells"]) for job in processes.jobs[8:]] == [1]
    taken_over = [(row["model"], row["status"], row["taken_over"]) for row in rows_of("repeated")]
    assert sorted(taken_over) == sorted([*[(tiny().name, "ok", 3)] * 2, ("bert-base", "ok", 3), ("bert-base", "ok", 2)])
    assert not list((tmp_path / "cache").glob("sweeps/*/*.jsonl"))
