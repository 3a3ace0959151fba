"""`nerbench results`: compaction does not change the output of other commands or exports."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import write_table
from nerbench.flows.cli import status_of

NIGHTS = ["2026-01-01", "2026-01-02"]


def fill(table: str, night: str, **values: Any) -> dict[str, Any]:
    started_at = datetime.fromisoformat(f"{night}T03:00+00:00")
    example = {"string": "x", "int32": 1, "date32": started_at.date(), "timestamp[us, tz=UTC]": started_at}
    return {c.name: example[c.type] for c in TABLES[table].columns if not c.nullable} | {"run_id": night} | values


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of two models on closed days, and one on an open day."""
    monkeypatch.chdir(tmp_path)
    for night in [*NIGHTS, datetime.now(UTC).date().isoformat()]:
        for model in "ab":
            strict = {"level": "entity", "slice": "all", "mode": "strict", "label": "overall"}
            strict |= {"average": "micro", "metric": "f1", "model": model, "artifact_id": model, "value": 0.5}
            write_table("results", "metrics", [fill("metrics", night, **strict)], date=night, key=f"{night}-{model}")
            speed = {
                "status": "ok",
                "artifact_id": model,
                "samples_s": [0.25],
                "p50_s": 0.25,
                "p90_s": 0.25,
                "words_per_s": 1,
            }
            write_table("results", "speed", [fill("speed", night, **speed)], date=night, key=f"{night}-{model}")
    return tmp_path / "results"


def command(*arguments: str) -> int:
    return status_of(["results", *arguments, "--results", "results"])


def exported(table: str, ending: str) -> bytes:
    target = Path(f"exported.{ending}")
    assert command("export", "--to", str(target), "--table", table, "--force") == 0
    return target.read_bytes()


def test_closed_days_are_compacted(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("compact", "--json") == 0
    done = {one.pop("table"): one for one in json.loads(capsys.readouterr().out)["tables"]}
    packed = {"days": 2, "packed": 4, "deleted": 0}
    assert done == {**dict.fromkeys(done, dict.fromkeys(packed, 0)), "metrics": packed, "speed": packed}
    assert command("compact", "--grace", "0", "--table", "metrics") == 0
    printed = capsys.readouterr()
    assert "metrics" in printed.out
    assert "speed" not in printed.out
    assert printed.err == "0 files packed, 6 deleted\n"
    assert len(list(results.glob("metrics/*/date=*/*.parquet"))) == 4
    assert command("compact") == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "0 files packed, 0 deleted\n")


def test_the_clock_of_this_machine_does_not_shorten_the_grace_time(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("compact") == 0
    before = sorted(results.glob("metrics/*/date=*/*.parquet"))
    monkeypatch.setattr("nerbench.tasks.run_identity.utc_now", lambda: datetime.now(UTC) + timedelta(days=400))
    assert command("compact") == 0
    assert sorted(results.glob("metrics/*/date=*/*.parquet")) == before


def test_the_newest_run_is_shown_from_the_files_of_its_date_alone(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for night in NIGHTS:
        for path in results.glob(f"metrics/*/date={night}/*"):
            path.write_bytes(b"not read")
    today = datetime.now(UTC).date().isoformat()
    write_table("results", "runs", [fill("runs", today)], date=today, key="r")
    assert command("show") == 0
    assert f"run {datetime.now(UTC).date()}" in capsys.readouterr().err


def test_the_table_of_runs_locates_a_run(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table("results", "runs", [fill("runs", NIGHTS[0])], date=NIGHTS[0], key="r")
    for path in results.glob(f"metrics/*/date={NIGHTS[1]}/*"):
        path.write_bytes(b"not read")
    assert command("show", "--run", NIGHTS[0], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert {row["run_id"] for kind in ("metrics", "speed") for row in shown[kind]} == {NIGHTS[0]}
    assert command("show", "--run", "nothing") == 2


@pytest.mark.parametrize("grace", ["7", "0"])
def test_output_and_exports_do_not_change(results: Path, grace: str, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [("metrics", "csv"), ("metrics", "parquet"), ("speed", "csv")]

    def everything() -> list[Any]:
        capsys.readouterr()
        shown = []
        for run in NIGHTS:
            assert command("show", "--json", "--run", run) == 0
            shown.append(json.loads(capsys.readouterr().out))
        assert command("export", "--bundle", "all.zip", "--since", NIGHTS[1], "--force") == 0
        return [shown, *(exported(*kind) for kind in kinds)]

    before = everything()
    assert pq.read_table("exported.csv".replace("csv", "parquet")).num_rows == 6
    for _ in range(2):
        assert command("compact", "--grace", grace) == 0
        assert everything() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--table", "predictions"], "table 'predictions': is not compacted; choose one of metrics"),
        (["--table", "scores"], "table 'scores': is not compacted; choose one of metrics"),
        (["--grace", "-1"], "'--grace': Input should be greater than or equal to 0"),
        (["--grace", "1e9"], "'--grace': Input should be less than or equal to 36500"),
        (["--grace", "nan"], "'--grace': Input should be"),
    ],
)
def test_errors_of_users(
    results: Path,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(Root, "now")  # it writes a file
    assert command("compact", *arguments) == 2
    assert says in capsys.readouterr().err
    assert not list(results.rglob("_compacted"))


def test_compaction_of_empty_results_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("compact") == 0
    assert capsys.readouterr().err == "0 files packed, 0 deleted\n"
    assert not list(tmp_path.iterdir())


def test_a_run_is_shown_with_the_values_of_benchmark_functions(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gave = fill("custom", NIGHTS[1], name="size", value=90345123.0, unit="bytes", status="ok", model="a")
    write_table("results", "custom", [gave], date=NIGHTS[1], key="k")
    assert command("show", "--run", NIGHTS[1]) == 0
    assert re.search(r"custom functions *\n.*\na +size +9.03451e\+07 +bytes", capsys.readouterr().out)
    for night, names in ((NIGHTS[0], []), (NIGHTS[1], ["size"])):
        assert command("show", "--run", night, "--json") == 0
        assert [row["name"] for row in json.loads(capsys.readouterr().out)["custom"]] == names
