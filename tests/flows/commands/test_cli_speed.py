"""`nerbench speed`: the request to the flow, and the output; the flow has its own tests."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sweeping import TINY

import nerbench
from nerbench.artifacts.errors import ConfigError
from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config
from nerbench.tasks.config.deprecated_keys import warn_deprecated

ROW = {
    "artifact_id": "a",
    "model": "bert-base",
    "backend": "eager",
    "dtype": "fp32",
    "workload": "inference",
    "batch_size": 8,
    "sequence_length": 128,
}
TIMED = {
    **ROW,
    "status": "ok",
    "mean_s": 0.25,
    "ci_low_s": 0.2,
    "ci_high_s": 0.3,
    "p90_s": None,
    "agreement": 1.0,
    "sentences_per_s": 32.0,
    "tokens_per_s": 4096.0,
    "threads": 2,
    "sgemm_flops_per_s": 2e11,
    "copy_bytes_per_s": 1e10,
    "background_cores": 0.0,
}
USED = {**ROW, "status": "ok", "baseline_rss_bytes": 1e8, "peak_rss_bytes": 3e8}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Config, list[str]]]:
    """The requests to the flow, which runs no sweep."""
    monkeypatch.chdir(tmp_path)
    found: list[tuple[Config, list[str]]] = []

    def flow(config: Config, models: list[str]) -> dict[str, Any]:
        from nerbench.tasks.environment import environment, machine

        found.append((config, models))
        failed = TIMED | {"backend": "onnx", "status": "unavailable: onnxruntime not installed"}
        around = {"environment": environment() | machine(), "tables": {"speed": ["uri"]}, "run_id": "r"}
        return {"speed": [TIMED, failed], "memory": [USED], **around}

    monkeypatch.setattr("nerbench.flows.speed.speed", flow)
    return found


def test_the_deprecated_option_works_with_a_warning(
    asked: list[tuple[Config, list[str]]], caplog: pytest.LogCaptureFixture
) -> None:
    warn_deprecated.cache_clear()
    assert status_of(["speed", "bert-base", "--precisions", "fp32,bf16"]) == 0
    assert asked[0][0].speed.dtypes == ("fp32", "bf16")
    assert [record.getMessage() for record in caplog.records] == ["--precisions is deprecated: write --dtypes"]


def test_options_change_the_section_speed_and_the_rest_stays(asked: list[tuple[Config, list[str]]]) -> None:
    options = ["--batch-sizes", "1, 8", "--sequence-lengths", "32,64", "--workloads", "inference,training"]
    options += ["--backends", "eager,int8", "--dtypes", "fp32,bf16", "--processes", "5", "--iterations", "20"]
    options += [
        "--head",
        "none",
        "--no-multi-process",
        "--minimum",
        "0.5",
        "--timeout",
        "30",
        "--set",
        "speed.nightly=true",
    ]
    assert status_of(["speed", TINY, "bert-base", *options]) == 0
    ((config, models),) = asked
    assert models == [TINY, "bert-base"]
    expected = {
        "batch_sizes": (1, 8),
        "sequence_lengths": (32, 64),
        "workloads": ("inference", "training"),
        "backends": ("eager", "int8"),
        "dtypes": ("fp32", "bf16"),
        "head": "none",
        "processes": 5,
        "multi_process": False,
        "iterations": 20,
        "minimum_s": 0.5,
        "timeout_s": 30.0,
        "nightly": True,
    }
    assert config.speed.model_dump(include=set(expected)) == expected


def test_it_prints_the_table_the_environment_and_failures(
    asked: list[tuple[Config, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["speed", TINY]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("inference: ")
    assert lines[1].split() == "model batch length ms 95 % p90 ms sentences/s tokens/s MB".split()
    assert lines[2].split() == "bert-base 8 128 250.00 200.00–300.00 32 4096 200".split()
    assert "200 GFLOP/s" in printed.out
    assert "bert-base onnx fp32 inference: unavailable: onnxruntime not installed (8 × 128)" in printed.err
    assert "table speed: uri" in printed.err


def test_json_is_one_object_and_csv_is_written_too(
    asked: list[tuple[Config, list[str]]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert status_of(["speed", TINY, "--json", "--csv", "a.csv"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"run_id", "tables", "speed", "memory", "environment"}
    (first, second) = csv.DictReader((tmp_path / "a.csv").open())
    assert (first["mean_s"], first["peak_rss_bytes"], second["status"]) == (
        "0.25",
        "300000000.0",
        "unavailable: onnxruntime not installed",
    )


def test_csv_files_go_to_a_folder_and_existing_files_stay(
    asked: list[tuple[Config, list[str]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(["speed", TINY, "--csv", "out"]) == 0
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["environment.csv", "inference_memory.csv", "inference_time.csv"]
    assert status_of(["speed", TINY, "--csv", "out"]) == 2
    assert "inference_time.csv is there already" in capsys.readouterr().err
    assert len(asked) == 1


def test_the_same_from_python(asked: list[tuple[Config, list[str]]], tmp_path: Path) -> None:
    done = nerbench.speed(models=[TINY], batch_sizes=[8], sequence_lengths=[8, 32], processes=2)
    ((config, models),) = asked
    assert models == [TINY]
    assert (config.speed.sequence_lengths, config.speed.processes) == ((8, 32), 2)
    table = done.to_pandas()
    assert table["mean_s"].tolist() == [0.25, 0.25]
    assert table["peak_rss_bytes"][0] == 3e8
    done.to_csv(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().count("\n") == 3
    with pytest.raises(ConfigError, match=r"speed\.batch_size"):
        nerbench.speed(models=[TINY], batch_size=8)
