"""Exports: their content, and that no file is partial or overwritten."""

import csv
import hashlib
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.errors import InputError, NerbenchError
from nerbench.artifacts.tables.schemas import TABLES, schema
from nerbench.artifacts.tables.tables import read_results, write_table
from nerbench.flows.cli import status_of
from nerbench.tasks.results.export import ROW_OF, Selection, export_bundle, export_table
from nerbench.tasks.results.redaction import TEXTS, shareable_value

WORDS = ["Zanzibar", "is", "far"]
HOST = "build-server-17.example.org"
CONFIGURATION = {
    "store": "s3://anna:pa55word@bucket/models?key=1",
    "results": "/home/anna/results",
    "datasets": [{"files": {"test": "/home/anna/data/test.txt"}, "options": {"api_key": "hunter2", "size": 3}}],
    "models": [{"base": "~/encoders/small", "batch_tokens": 512}, {"base": "bert-base-uncased"}],
}


def fill(table: str, **values: Any) -> dict[str, Any]:
    """A row of a table with the given values, and a value in every other key column."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    example = {"string": "x", "int32": 1, "date32": moment.date(), "timestamp[us, tz=UTC]": moment}
    return {c.name: example[c.type] for c in TABLES[table].columns if not c.nullable} | values


@pytest.fixture
def results(tmp_path: Path) -> str:
    """Metrics of two runs, and all other tables of one run."""
    url = str(tmp_path / "results")
    for date in ("2026-01-01", "2026-01-02"):
        write_table(url, "metrics", [fill("metrics", run_id=date, value=0.5)], date=date, key=date)
        run = fill("runs", run_id=date, host=HOST, configuration=json.dumps(CONFIGURATION))
        write_table(url, "runs", [run], date=date, key=date)
    rows = [fill("predictions", word=n, text=text, probabilities=[0.5, 0.25]) for n, text in enumerate(WORDS)]
    write_table(url, "predictions", rows, date="2026-01-02", key="p")
    write_table(url, "speed", [fill("speed", host=HOST, samples_s=[0.25, 0.5])], date="2026-01-02", key="s")
    return url


def unpacked(bundle: Path, folder: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def test_a_bundle_holds_every_table_with_its_declared_columns(results: str, tmp_path: Path) -> None:
    rows = export_bundle(results, tmp_path / "b.zip", Selection())
    assert rows == {"metrics": 2, "predictions": 3, "speed": 1, "runs": 2}
    folder = unpacked(tmp_path / "b.zip", tmp_path / "b")
    for table, count in rows.items():
        read = pq.read_table(folder / "tables" / f"{table}.parquet")
        assert read.num_rows == count
        assert read.column_names == schema(table).names
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*.*")} == {
        *(f"tables/{table}.parquet" for table in rows),
        *("README.txt", "environment.json", "manifest.json"),
    }


def test_the_manifest_has_the_digest_of_every_other_member(results: str, tmp_path: Path) -> None:
    export_bundle(results, tmp_path / "b.zip", Selection())
    folder = unpacked(tmp_path / "b.zip", tmp_path / "b")
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}
    del files["manifest.json"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {f["path"]: (f["size"], f["sha256"]) for f in manifest["files"]} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()
    }
    assert manifest["tables"]["metrics"] == {"schema": 2, "rows": 2}


def test_the_environment_is_this_one_and_the_newest_run(results: str, tmp_path: Path) -> None:
    export_bundle(results, tmp_path / "b.zip", Selection())
    environment = json.loads((unpacked(tmp_path / "b.zip", tmp_path / "b") / "environment.json").read_text())
    assert environment["exported_from"]["libraries"]["torch"]
    assert environment["newest_run"]["run_id"] == "2026-01-02"
    assert environment["newest_run"]["configuration"]["models"][0]["batch_tokens"] == 512


def test_the_explanation_names_tables_columns_and_readers(results: str, tmp_path: Path) -> None:
    rows = export_bundle(results, tmp_path / "b.zip", Selection())
    text = (unpacked(tmp_path / "b.zip", tmp_path / "b") / "README.txt").read_text()
    for part in ("pandas", "polars", "DuckDB", "mind its licence", *rows):
        assert part in text
    for table in rows:
        assert all(f"  {c.name} " in text and c.meaning in text for c in TABLES[table].columns)
    assert set(ROW_OF) == set(TABLES)


def test_the_same_rows_give_the_same_bytes(results: str, tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export_bundle(results, tmp_path / name, Selection())
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("kind", ["bundle", "runs.parquet", "runs.csv", "speed.csv"])
def test_no_secret_host_or_folder_leaves(results: str, tmp_path: Path, kind: str) -> None:
    if kind == "bundle":
        export_bundle(results, tmp_path / "b.zip", Selection())
        folder = unpacked(tmp_path / "b.zip", tmp_path / "b")
        tables = [str(pq.read_table(path).to_pydict()) for path in folder.rglob("*.parquet")]
        said = "".join(tables + [path.read_text() for path in folder.glob("*.*")])
    else:
        target = tmp_path / kind
        export_table(results, target.stem, target, Selection())
        said = target.read_text() if target.suffix == ".csv" else str(pq.read_table(target).to_pydict())
    for private in (HOST, "anna", "pa55word", "hunter2", "key=1"):
        assert private not in said
    assert "host-" in said


def test_a_configuration_keeps_the_keys_about_the_run() -> None:
    assert shareable_value(CONFIGURATION) == {
        "store": "s3://bucket/models",
        "results": "…/results",
        "datasets": [{"files": {"test": "…/test.txt"}, "options": {"api_key": "…", "size": "…"}}],
        "models": [{"base": "…/small", "batch_tokens": 512}, {"base": "bert-base-uncased"}],
    }
    assert shareable_value([r"C:\Users\anna\x", "file:///home/anna/x", "hf://org/model", "org/model", "a@latest"]) == [
        *("…/x", "…/x", "hf://org/model", "org/model", "a@latest"),
    ]


def test_words_are_kept_or_left_out(results: str, tmp_path: Path) -> None:
    for name, text in (("with", True), ("without", False)):
        export_bundle(results, tmp_path / f"{name}.zip", Selection(text=text))
        folder = unpacked(tmp_path / f"{name}.zip", tmp_path / name)
        read = pq.read_table(folder / "tables" / "predictions.parquet")
        assert read["text"].to_pylist() == (WORDS if text else [None] * 3)
        assert read["word"].to_pylist() == [0, 1, 2]
        assert (WORDS[0].encode() in (folder / "tables" / "predictions.parquet").read_bytes()) == text
        assert ("not in it" in (folder / "README.txt").read_text()) != text


@pytest.mark.parametrize("text", [True, False])
def test_errors_lose_all_their_words_too(tmp_path: Path, text: bool) -> None:
    url, said = str(tmp_path / "results"), dict(zip(("gold_text", "pred_text", "sentence_text"), WORDS, strict=True))
    write_table(url, "errors", [fill("errors", gold_label="LOC", **said)], date="2026-01-02", key="e")
    export_bundle(url, tmp_path / "b.zip", Selection(text=text))
    folder = unpacked(tmp_path / "b.zip", tmp_path / "b")
    (row,) = pq.read_table(folder / "tables" / "errors.parquet").to_pylist()
    assert {name: row[name] for name in said} == (said if text else dict.fromkeys(said))
    assert row["gold_label"] == "LOC"
    assert (WORDS[0].encode() in (folder / "tables" / "errors.parquet").read_bytes()) == text
    assert ("mind its licence" in (folder / "README.txt").read_text()) == text


def test_every_column_of_text_is_known_to_hold_words() -> None:
    columns = {column.name for table in TABLES.values() for column in table.columns}
    assert {name for name in columns if name == "text" or name.endswith("_text")} == set(TEXTS)


def test_since_leaves_out_earlier_dates(results: str, tmp_path: Path) -> None:
    rows = export_bundle(results, tmp_path / "b.zip", Selection(since="2026-01-02"))
    assert rows["metrics"] == rows["runs"] == 1
    with pytest.raises(InputError, match="hold no rows since 2026-01-03"):
        export_bundle(results, tmp_path / "c.zip", Selection(since="2026-01-03"))
    assert not (tmp_path / "c.zip").exists()


def test_a_table_as_parquet_is_the_table(results: str, tmp_path: Path) -> None:
    assert export_table(results, "metrics", tmp_path / "m.parquet", Selection()) == 2
    assert pq.read_table(tmp_path / "m.parquet").equals(read_results(results, "metrics"))


def test_a_table_as_csv_has_headings_lists_and_nulls(results: str, tmp_path: Path) -> None:
    export_table(results, "predictions", tmp_path / "p.csv", Selection())
    with (tmp_path / "p.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["text"] for row in rows] == WORDS
    assert rows[0]["probabilities"] == "0.5 0.25"
    assert rows[0]["document"] == ""
    export_table(results, "metrics", tmp_path / "m.csv", Selection())
    assert "2026-01-02 03:04:05" in (tmp_path / "m.csv").read_text()


@pytest.mark.parametrize(("safe", "tags"), [(False, "=1+1 b"), (True, "'=1+1 b")])
def test_lists_of_text_are_joined_and_made_safe(tmp_path: Path, safe: bool, tags: str) -> None:
    url, target = str(tmp_path / "results"), tmp_path / "c.csv"
    write_table(url, "custom", [fill("custom", tags=["=1+1", "b"])], date="2026-01-02", key="c")
    export_table(url, "custom", target, Selection(), safe=safe)
    with target.open(newline="") as stream:
        assert [row["tags"] for row in csv.DictReader(stream)] == [tags]


def test_an_existing_file_is_left_alone_without_force(results: str, tmp_path: Path) -> None:
    target = tmp_path / "b.zip"
    target.write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        export_bundle(results, target, Selection())
    assert target.read_bytes() == b"mine"
    export_bundle(results, target, Selection(), force=True)
    assert zipfile.is_zipfile(target)


def test_a_failure_leaves_neither_a_partial_nor_a_temporary_file(
    results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    folder = tmp_path / "out"
    monkeypatch.setattr("nerbench.artifacts.storage.paths.os.fsync", full)
    with pytest.raises(NerbenchError, match="No space"):
        export_bundle(results, folder / "b.zip", Selection())
    assert list(folder.iterdir()) == []


def test_the_command_exports_and_prints_the_tables(
    results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status_of(["results", "export", "--bundle", "b.zip", "--results", results]) == 0
    assert status_of(["results", "export", "--to", "m.csv", "--table", "metrics", "--results", results]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == ("b.zip: 2 metrics, 3 predictions, 1 speed, 2 runs rows\nm.csv: 2 metrics rows\n")


FORMULAS = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]
PLAIN = ["Ada", "B-PER", "a=b", " =1", "'=1", ""]


@pytest.mark.parametrize("safe", [True, False])
def test_a_safe_csv_holds_no_formula_and_no_other_change(tmp_path: Path, safe: bool) -> None:
    url, target = str(tmp_path / "results"), tmp_path / "p.csv"
    rows = [fill("predictions", word=n, text=text, gold_tag=text) for n, text in enumerate([*FORMULAS, *PLAIN])]
    write_table(url, "predictions", rows, date="2026-01-02", key="p")
    export_table(url, "predictions", target, Selection(), safe=safe)
    with target.open(newline="") as stream:
        read = list(csv.DictReader(stream))
    expected = [f"'{text}" if safe else text for text in FORMULAS] + PLAIN
    assert [row["text"] for row in read] == expected
    assert [row["gold_tag"] for row in read] == expected
    assert read[1]["word"] == "1", "numbers stay numbers"


def test_safe_applies_to_csv_only(results: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    common = ["results", "export", "--results", results, "--safe"]
    assert status_of([*common, "--table", "metrics", "--to", "m.parquet"]) == 2
    assert status_of([*common, "--bundle", "b.zip"]) == 2
    assert status_of([*common, "--table", "metrics", "--to", "m.csv"]) == 0
    assert [path.name for path in tmp_path.glob("*.*")] == ["m.csv"]
