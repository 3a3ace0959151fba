"""Compaction does not change the rows that readers get."""

import errno
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import table_rows
from run_files import DAY, NEXT_DAY, NOW, WEEK, at_once, compact_runs, prepared, read, read_by_glob, write

from nerbench.artifacts.errors import ConflictError, CorruptArtifactError, InputError, NerbenchError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables import compaction
from nerbench.artifacts.tables.compaction import Compacted, compact, pack_run
from nerbench.artifacts.tables.schemas import COMPACTABLE
from nerbench.artifacts.tables.tables import find_table_file, read_newest_first, read_results, write_table


@pytest.fixture
def three(root_url: str) -> list[str]:
    """The rows of three files, before anything is compacted."""
    for key in "cab":
        write(root_url, key)
    return [f"{DAY}/{key}" for key in "abc"]


def test_a_day_is_packed_and_small_files_stay_for_the_grace_period(root_url: str, three: list[str]) -> None:
    assert compact_runs(root_url) == Compacted("runs", days=1, packed=3, deleted=0)
    for now in (NOW, NOW + WEEK - timedelta(seconds=1)):
        assert compact_runs(root_url, now=now) == Compacted("runs", days=0, packed=0, deleted=0)
        assert read(root_url) == read_by_glob(root_url) == three
    assert len(open_root(root_url).files(f"runs/schema=2/date={DAY}")) == 3
    assert compact_runs(root_url, now=NOW + WEEK).deleted == 4
    assert read(root_url) == read_by_glob(root_url) == three
    root = open_root(root_url)
    assert [path for folder in ("_compacted", "runs") for path in root.files(folder, recursive=True)] == [
        f"_compacted/runs/schema=2/date={DAY}/000001.json",
        f"runs/schema=2/date={DAY}/compacted-000001.parquet",
    ]
    assert compact_runs(root_url, now=NOW + 2 * WEEK) == Compacted("runs", days=0, packed=0, deleted=0)


def test_only_the_packed_file_is_read(root_url: str, three: list[str]) -> None:
    compact_runs(root_url)
    root = open_root(root_url)
    for path in root.files(f"runs/schema=2/date={DAY}"):
        root.replace(path, b"no longer read")
    assert read(root_url) == three


def test_files_added_to_a_packed_day_are_read_and_packed_once_its_grace_is_over(
    root_url: str, three: list[str]
) -> None:
    compact_runs(root_url)
    write(root_url, "late")
    expected = [*three, f"{DAY}/late"]
    assert compact_runs(root_url).packed == 0
    assert read(root_url) == read_by_glob(root_url) == expected
    assert compact_runs(root_url, now=NOW + WEEK) == Compacted("runs", days=1, packed=1, deleted=4)
    assert read(root_url) == read_by_glob(root_url) == expected
    assert compact_runs(root_url, now=NOW + 2 * WEEK).deleted == 4, "two packed files, a manifest, a small file"
    assert read(root_url) == read_by_glob(root_url) == expected
    manifest = json.loads(open_root(root_url).read(f"_compacted/runs/schema=2/date={DAY}/000002.json"))
    assert [(entry["key"], entry["first_row"], entry["rows"]) for entry in manifest["replaced"]] == [
        *[("a", 0, 1), ("b", 1, 1), ("c", 2, 1)],
        ("late", 3, 1),
    ]


def test_only_days_that_are_over_are_packed(root_url: str) -> None:
    for date in (DAY, NEXT_DAY):
        for key in "ab":
            write(root_url, key, date)
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    western = midnight.astimezone(datetime.strptime("-0800", "%z").tzinfo)
    assert compact_runs(root_url, now=midnight - timedelta(seconds=1)).days == 0
    assert compact_runs(root_url, now=western).days == 1
    assert [rows.date for rows in read_newest_first(root_url, "runs")] == [NEXT_DAY, DAY]
    assert len(open_root(root_url).files("_compacted/runs/schema=2", recursive=True)) == 2


def test_a_single_file_stays_as_it_is(root_url: str) -> None:
    write(root_url, "a")
    assert compact_runs(root_url) == Compacted("runs", days=0, packed=0, deleted=0)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_retry_finds_its_compacted_rows(root_url: str, three: list[str], stage: int) -> None:
    write(root_url, "b", NEXT_DAY)
    for step in range(stage):
        compact_runs(root_url, now=NOW + step * WEEK)
        if step == 1:
            write(root_url, "late")
    uri, root = write(root_url, "b", threads=8), open_root(root_url)
    assert root.exists(uri.removeprefix(f"{root.url}/"))
    assert uri == find_table_file(root_url, "runs", "b", DAY)
    with pytest.raises(ConflictError, match="outcome of row 0 is 'ok' there, 'failed' now"):
        write(root_url, "b", outcome="failed")
    assert Counter(read(root_url)) == Counter(read_by_glob(root_url))
    assert max(Counter(read(root_url)).values()) == 1


def test_files_are_found_by_key_before_and_after(root_url: str, three: list[str]) -> None:
    for _ in range(3):
        for date in (DAY, None):
            assert find_table_file(root_url, "runs", "a", date) is not None
            assert find_table_file(root_url, "runs", "other", date) is None
        assert find_table_file(root_url, "runs", "a", NEXT_DAY) is None
        compact_runs(root_url, timedelta(0))


def test_small_files_with_different_columns_are_restored(root_url: str) -> None:
    write(root_url, "a", host="here")
    root = open_root(root_url)
    folder = f"runs/schema=2/date={DAY}"
    older = pq.read_table(pa.BufferReader(root.read(f"{folder}/a.parquet"))).drop_columns(["host", "gpu"])
    for key, rows in (("older", older), ("newer", older.append_column("added", pa.array([1])))):
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        root.create(f"{folder}/{key}.parquet", sink.getvalue().to_pybytes())
    before = read_results(root_url, "runs", columns=["host", "gpu", "added"]).sort_by("added")
    at_once(root_url)
    assert read_results(root_url, "runs", columns=["host", "gpu", "added"]).sort_by("added").equals(before)
    write_table(root_url, "runs", older.to_pylist(), date=DAY, key="older")
    write_table(root_url, "runs", [older.to_pylist()[0] | {"gpu": "H200"}], date=DAY, key="newer")
    with pytest.raises(ConflictError, match="python"):
        write_table(root_url, "runs", [older.to_pylist()[0] | {"python": "3.14"}], date=DAY, key="older")


def test_every_schema_version_is_compacted_by_itself(root_url: str, three: list[str]) -> None:
    root = open_root(root_url)
    for key in "ab":
        root.create(f"runs/schema=0/date={DAY}/{key}.parquet", root.read(f"runs/schema=2/date={DAY}/c.parquet"))
    expected = sorted([*three, f"{DAY}/c", f"{DAY}/c"])
    for _ in range(3):
        assert read(root_url) == read_by_glob(root_url) == expected
        compact_runs(root_url, timedelta(0))
    assert len([*root.files("runs", recursive=True), *root.files("_compacted", recursive=True)]) == 4


@pytest.mark.parametrize("published", [False, True])
def test_nothing_is_deleted_for_a_damaged_file(root_url: str, three: list[str], published: bool) -> None:
    compact_runs(root_url)
    root = open_root(root_url)
    (packed,) = [path for path in root.files("_compacted", recursive=True) if path.endswith(".packed")]
    data = root.read(packed)
    if published:
        root.create(f"runs/schema=2/date={DAY}/compacted-000001.parquet", data[:-1])
    else:
        root.replace(packed, data[:-1])
    with pytest.raises(CorruptArtifactError, match=rf"000001.*differs from its manifest; nothing of {DAY}"):
        compact_runs(root_url, now=NOW + WEEK)
    with pytest.raises(CorruptArtifactError, match="000001"):
        read(root_url)
    assert {f"runs/schema=2/date={DAY}/{key}.parquet" for key in "abc"} <= set(root.files("runs", recursive=True))


def test_a_missing_packed_file_and_a_broken_manifest_are_reported(root_url: str, three: list[str]) -> None:
    compact_runs(root_url)
    root = open_root(root_url)
    (packed,) = [path for path in root.files("_compacted", recursive=True) if path.endswith(".packed")]
    root.delete(packed)
    with pytest.raises(CorruptArtifactError, match=r"is gone: .*000001-"):
        read(root_url)
    root.replace(f"_compacted/runs/schema=2/date={DAY}/000001.json", b"{}")
    with pytest.raises(CorruptArtifactError, match=r"000001\.json is not a manifest of a compaction: Field required"):
        read(root_url)


def test_tables_that_cannot_be_compacted(root_url: str) -> None:
    assert {"metrics", "speed", "memory", "custom", "runs", "gate", "robustness", "training"} == set(COMPACTABLE)
    with pytest.raises(InputError, match="table 'predictions': is not compacted; choose one of metrics"):
        compact(root_url, ["predictions"], grace=WEEK, now=NOW)


def test_a_full_disk_is_reported_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = str(tmp_path)
    expected = prepared(url, at_once)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(NerbenchError, match="No space left on device"):
            compact_runs(url)
    assert read(url) == read_by_glob(url) == expected
    assert not list(tmp_path.rglob("*.tmp"))
    assert compact_runs(url).packed == 1


def packed_by(url: str, keys: str) -> int:
    """What a complete run packs that wrote these files."""
    uris = [f"{open_root(url).url}/runs/schema=2/date={DAY}/{key}.parquet" for key in keys]
    return pack_run(url, {"runs": uris}, now=NOW)


def test_a_complete_run_packs_its_day_today(root_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in "abcdefgh":
        write(root_url, key)
    with monkeypatch.context() as patch:
        patch.delattr(compaction, "store_time")
        assert pack_run(root_url, {"runs": uris_of(root_url)[:3]}) == 0, "few files are read fast"
    before = read(root_url)
    assert packed_by(root_url, "abcdefgh") == 8
    assert packed_by(root_url, "abcdefgh") == 0
    assert read(root_url) == read_by_glob(root_url) == before
    assert write(root_url, "a", threads=8) == find_table_file(root_url, "runs", "a", DAY)
    for key in "ijklmnop":
        write(root_url, key)
    assert packed_by(root_url, "ijklmnop") == 8
    assert read(root_url) == read_by_glob(root_url) == sorted([*before, *(f"{DAY}/{key}" for key in "ijklmnop")])
    assert compact_runs(root_url, now=NOW + WEEK).deleted == 19, "and two hidden files, and a manifest"
    assert len(read(root_url)) == len(read_by_glob(root_url)) == 16


def test_a_day_is_not_packed_again_for_every_run(root_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FEWEST", 2)
    for number in range(20):
        write(root_url, f"first{number}")
    assert pack_run(root_url, {"runs": uris_of(root_url)}, now=NOW) == 20
    packed = []
    for number in range(3):
        uris = [write(root_url, f"{key}{number}") for key in "ab"]
        packed.append(pack_run(root_url, {"runs": uris}, now=NOW))
    assert packed == [0, 0, 6], "once they are a quarter of what was packed"
    assert len(read(root_url)) == 26


def uris_of(url: str) -> list[str]:
    root = open_root(url)
    return [root.uri(path) for path in root.files("runs", recursive=True)]


def test_rows_are_packed_by_model(root_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of one model skips the row groups of the others."""
    monkeypatch.setattr(compaction, "FEWEST", 2)
    uris = [
        table_rows.write(root_url, table_rows.metric(model=name), key=key)
        for key, name in zip("abc", "zyx", strict=True)
    ]
    assert pack_run(root_url, {"metrics": uris}, now=NOW) == 3
    assert read_results(root_url, "metrics")["model"].to_pylist() == ["x", "y", "z"]


def test_a_packed_file_with_other_rows_than_its_manifest_is_not_packed_again(
    root_url: str, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FEWEST", 2)
    assert packed_by(root_url, "abc") == 3
    root = open_root(root_url)
    (packed,) = [path for path in root.files("_compacted", recursive=True) if path.endswith(".packed")]
    root.replace(packed, root.read(f"runs/schema=2/date={DAY}/a.parquet"))
    for key in "de":
        write(root_url, key)
    with pytest.raises(CorruptArtifactError, match=rf"packed differs from its manifest; {DAY} is not packed again"):
        packed_by(root_url, "de")
    assert len(read_by_glob(root_url)) == 5
