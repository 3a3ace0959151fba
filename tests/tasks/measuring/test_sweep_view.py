"""A sweep on the terminal, within 80 columns, and as CSV; and its rows."""

import csv
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sweeping import tiny

from nerbench.flows import terminal
from nerbench.tasks.environment import environment, machine
from nerbench.tasks.measuring.latency_statistics import Amount
from nerbench.tasks.measuring.plan import Cell, Group
from nerbench.tasks.measuring.speed_rows import memory_row, speed_row
from nerbench.tasks.measuring.sweep import Measured
from nerbench.tasks.measuring.sweep_view import (
    surroundings,
    sweep_table,
    taken_over,
    troubles,
    write_csv,
    write_sections,
)

Row = dict[str, Any]
HOST = {"device": "cpu", "threads": 2, "sgemm_flops_per_s": 190e9, "copy_bytes_per_s": 12e9}


def measured(length: int | None = 128, **changes: Any) -> Measured:
    way = {"backend": "eager", "precision": "fp32", "workload": "inference", "head": "token"} | {
        name: changes.pop(name) for name in ("backend", "precision", "workload", "head") if name in changes
    }
    group = Group(tiny(), cells=(), unavailable=None, **way)
    known: Row = {
        "samples": [[0.1] * 40, [0.12] * 40],
        "amounts": [[Amount(8, None, 1024)] * 40] * 2,
        "foreign": [0.1, 0.3],
        "hosts": [HOST, HOST],
        "memory": {"status": "ok", "baseline_rss_bytes": 300_000_000, "peak_rss_bytes": 450_000_000, "load_s": 0.5},
    }
    return Measured(group=group, cell=Cell(8, length), **{**known, **changes})


def rows(*cells: Measured) -> tuple[list[Row], list[Row]]:
    return [speed_row(one, "cpu", "own") for one in cells], [memory_row(one, "cpu", None) for one in cells]


def test_a_measured_cell_is_a_row_with_its_numbers() -> None:
    row = speed_row(measured(), "cpu", "own")
    assert row["mean_s"] == pytest.approx(0.11)
    assert (row["device"], row["threads"], row["sgemm_flops_per_s"]) == ("cpu", 2, 190e9)
    assert (row["agreement"], row["background_cores"], row["dataset"]) == (1.0, pytest.approx(0.2), None)
    assert speed_row(measured(None), "cpu", "own")["dataset"] == "own"
    assert speed_row(measured(workload="training"), "cpu", None)["agreement"] is None
    assert speed_row(measured(backend="int8", agreement=0.75), "cpu", None)["agreement"] == 0.75


def test_a_cell_without_numbers_is_a_row_with_its_status() -> None:
    failed = measured(status="timeout", samples=[], amounts=[], hosts=[], memory={})
    row = speed_row(failed, "cpu", None)
    assert (row["status"], row["device"], row["threads"]) == ("timeout", "cpu", None)
    assert "mean_s" not in row
    assert memory_row(failed, "cpu", None)["status"] == "timeout"


def test_the_table_has_the_familiar_form() -> None:
    speed, memory = rows(measured(), measured(None), measured(status="timeout"))
    first, second = sweep_table(speed, memory, "inference")
    assert first["ms"] == pytest.approx(110)
    assert list(first) == ["model", "batch", "length", "ms", "95 %", "p90 ms", "sentences/s", "tokens/s", "MB"]
    assert (first["length"], second["length"], first["MB"]) == ("128", "real", 150)
    assert (first["sentences/s"], first["tokens/s"]) == (73, 9309)
    low, high = map(float, first["95 %"].split("–"))
    assert low < 110 < high
    assert sweep_table(speed, memory, "training") == []


def test_other_ways_of_computing_have_a_column_and_their_agreement() -> None:
    speed, memory = rows(measured(), measured(backend="int8", agreement=0.987))
    plain, quantized = sweep_table(speed, memory, "inference")
    assert (plain["with"], quantized["with"]) == ("eager fp32", "int8 fp32")
    assert (plain["agree"], quantized["agree"]) == ("100.0 %", "98.7 %")


def test_tables_fit_80_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(terminal, "console", lambda: Console(width=80))
    speed, memory = rows(measured(), measured(backend="compile", precision="bf16", agreement=0.987))
    for table in (sweep_table(speed, memory, "inference"), surroundings(environment() | machine(), speed)):
        terminal.print_table(table, optional=("sentences/s", "p90 ms", "tokens/s", "agree"))
    printed = capsys.readouterr().out
    assert "compile bf16" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_the_environment_is_below_the_table() -> None:
    speed, _ = rows(measured())
    found = {row["what"]: row["value"] for row in surroundings(environment() | machine(), speed)}
    assert {"cpu", "torch", "python", "system", "ram", "threads", "date", "gpus"} <= set(found)
    assert (found["sgemm"], found["copy"], found["background load"]) == ("190 GFLOP/s", "12.0 GB/s", "0.20 cores")
    assert not {"cpu flags", "ram bytes"} & set(found)


def test_failures_are_one_line_per_setting_and_reason() -> None:
    failed = [measured(length, status="timeout", hosts=[]) for length in (32, None)]
    absent = measured(backend="onnx", status="unavailable: not installed", hosts=[])
    speed, memory = rows(measured(), *failed, absent)
    name = tiny().name
    assert troubles(speed, memory) == [
        f"{name} eager fp32 inference: timeout (8 × 32, 8 × real)",
        f"{name} onnx fp32 inference: unavailable: not installed (8 × 128)",
        "other processes kept up to 0.2 cores busy in 1 of 4 cells",
    ]


def test_measurements_for_debugging_are_marked() -> None:
    line = "measured in the process of the command, for debugging: not comparable with other measurements"
    assert [line in troubles(*rows(measured(single_process=single))) for single in (True, False)] == [True, False]


def test_the_csv_file_has_one_line_per_cell_and_no_samples(tmp_path: Path) -> None:
    speed, memory = rows(measured(), measured(status="out of memory", hosts=[]))
    write_csv(tmp_path / "a.csv", speed, memory)
    first, second = csv.DictReader((tmp_path / "a.csv").open())
    assert (first["model"], float(first["mean_s"]), first["peak_rss_bytes"]) == (
        tiny().name,
        pytest.approx(0.11),
        "450000000",
    )
    assert (second["status"], second["mean_s"]) == ("out of memory", "")
    assert not {"samples_s", "samples_process", "run_id"} & set(first)


def test_a_folder_gets_one_file_per_section_and_the_environment(tmp_path: Path) -> None:
    trained = measured(workload="training", head="none")
    failed = measured(512, status="timeout", hosts=[], memory={})
    write_sections(tmp_path / "out", *rows(measured(), failed, trained), {"python": "3.12", "gpu": None})
    files = {path.name: path for path in (tmp_path / "out").iterdir()}
    sections = [f"{workload}_{what}.csv" for workload in ("inference", "train") for what in ("memory", "time")]
    assert sorted(files) == ["environment.csv", *sections]
    first, second = csv.DictReader(files["inference_time.csv"].open())
    assert list(first)[:4] == ["model", "batch_size", "sequence_length", "result"]
    assert (first["model"], first["batch_size"], first["sequence_length"]) == (tiny().name, "8", "128")
    assert float(first["result"]) == pytest.approx(0.11)
    assert (second["result"], second["status"]) == ("N/A", "timeout")
    (used,) = csv.DictReader(files["train_memory.csv"].open())
    assert (float(used["result"]), used["head"]) == (pytest.approx(429.2), "none")
    assert list(csv.reader(files["environment.csv"].open())) == [["python", "3.12"]]
    with pytest.raises(FileExistsError):
        write_sections(tmp_path / "out", *rows(measured()), {})


def test_encoders_are_distinguished_from_token_classifiers() -> None:
    speed, memory = rows(measured(), measured(head="none"))
    assert [row["head"] for row in sweep_table(speed, memory, "inference")] == ["token", "none"]
    assert speed[1]["agreement"] is None


def test_reused_measurements_are_reported() -> None:
    speed, _ = rows(measured(kept={0: {}, 1: {}}), measured(None, kept={0: {}}), measured(8))
    expected = f"{tiny().name} eager fp32 inference: processes of an interrupted sweep (8 × 128: 2, 8 × real: 1)"
    assert taken_over(speed) == [expected]
