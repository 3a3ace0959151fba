"""Pruning the cache in the results folder: old predictions and counts, completely, and no foreign files."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from evaluation_records import evaluation_record

from nerbench.artifacts.cache_pruning import Limits, find_caches, prune, prune_after_run
from nerbench.artifacts.storage.open_root import open_root
from nerbench.tasks.inference.evaluation_cache import EvaluationRecord, evaluation_folder, keep, look_up
from nerbench.tasks.run_identity import utc_now

ALL = Limits(0, None)


@pytest.fixture(autouse=True)
def empty_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "local"))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


def keep_evaluation(results: Path, key: str, days: float) -> EvaluationRecord:
    """An evaluation whose predictions are ten bytes."""
    file = results.parent / "predictions"
    file.write_bytes(b"0123456789")
    root = open_root(str(results))
    record = evaluation_record(key=key * 64, sha256=open_root(str(file.parent)).sha256(file.name))
    keep(root, record, file)
    age(results, days, f".cache/evaluations/{record.key}")
    return record


def age(results: Path, days: float, folder: str = "") -> None:
    for path in (results / folder).rglob("*"):
        os.utime(path, (utc_now().timestamp() - days * 86400,) * 2)


def names(results: Path, limits: Limits, **options: bool) -> list[str]:
    return [entry.name.removeprefix(".cache/") for entry in prune(str(results), limits, **options)]


def test_the_oldest_entries_are_removed_first_and_completely(results: Path) -> None:
    for key, days in (("a", 3), ("b", 30), ("c", 5)):
        keep_evaluation(results, key, days)
    limits = Limits(None, timedelta(days=4))
    expected = [f"evaluations/{'b' * 64}", f"evaluations/{'c' * 64}"]
    assert names(results, limits, dry_run=True) == expected
    assert names(results, limits) == expected
    assert [path.name for path in (results / ".cache/evaluations").iterdir()] == ["a" * 64]
    assert names(results, limits) == []


def test_entries_used_within_a_day_stay(results: Path) -> None:
    keep_evaluation(results, "a", 0.9)
    assert names(results, ALL) == []
    (entry,) = find_caches(str(results))[1].entries
    assert entry.in_use


def test_a_hit_counts_as_a_use_and_a_removed_entry_is_a_miss(results: Path) -> None:
    record = keep_evaluation(results, "a", 30)
    root = open_root(str(results))
    assert look_up(root, record.folder, "m") == ("cached", record)
    assert names(results, ALL) == [], "another run may be about to read it"
    age(results, 2)
    assert names(results, ALL) == [record.folder.removeprefix(".cache/")]
    assert look_up(root, record.folder, "m") == ("missing", None)


def test_a_hit_after_the_listing_keeps_an_entry(results: Path) -> None:
    record = keep_evaluation(results, "a", 30)
    (_, cache) = find_caches(str(results))
    assert look_up(open_root(str(results)), record.folder, "m")[0] == "cached"
    assert not cache.remove(cache.entries[0])
    assert look_up(open_root(str(results)), record.folder, "m")[0] == "cached"


def test_a_fresh_hit_writes_nothing(results: Path) -> None:
    record = keep_evaluation(results, "a", 0.1)
    before = (results / record.folder / "record.json").stat().st_mtime_ns
    look_up(open_root(str(results)), record.folder, "m")
    assert (results / record.folder / "record.json").stat().st_mtime_ns == before


def test_only_known_names_are_removed_and_links_are_not_followed(results: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim" / ("a" * 64)
    victim.mkdir(parents=True)
    strange = [
        victim / "record.json",
        results / evaluation_folder("e" * 64) / "notes.txt",
        results / evaluation_folder("not-a-key") / "record.json",
        results / ".cache" / "counts" / "mine.parquet",
        results / ".cache" / "others" / f"{'a' * 64}.parquet",
        results / "metrics" / f"{'a' * 64}.parquet",
    ]
    for path in strange:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    keep_evaluation(results, "e", 30)
    counts = results / ".cache" / "counts" / f"{'f' * 64}.parquet"
    counts.write_bytes(b"counts")
    (results / evaluation_folder("b" * 64)).symlink_to(victim)
    age(results, 30)
    age(victim, 30)
    assert sorted(names(results, ALL)) == [f"counts/{counts.name}", evaluation_folder("e" * 64).removeprefix(".cache/")]
    assert all(path.exists() for path in strange)


@pytest.mark.parametrize("linked", [".cache", ".cache/evaluations"])
def test_a_linked_cache_is_left_alone(results: Path, tmp_path: Path, linked: str) -> None:
    record = keep_evaluation(results, "a", 30)
    (results / linked).rename(tmp_path / "elsewhere")
    (results / linked).symlink_to(tmp_path / "elsewhere")
    age(tmp_path / "elsewhere", 30)
    assert names(results, ALL) == []
    assert (results / record.path).exists()


def test_an_object_store_is_pruned_too(memory_results: str) -> None:
    root = open_root(memory_results)
    name = f".cache/counts/{'f' * 64}.parquet"
    root.replace(name, b"counts")
    ((entry,),) = (find_caches(memory_results)[1].entries,)
    assert (entry.name, entry.bytes, entry.in_use) == (name, 6, True)
    assert find_caches(memory_results)[1].remove(entry)
    assert root.files(recursive=True) == []


@pytest.fixture
def memory_results() -> str:
    return "memory://caches-of-results"


def test_a_run_prunes_only_where_limits_are_configured(results: Path) -> None:
    keep_evaluation(results, "a", 30)
    assert prune_after_run(str(results), Limits(None, None)) is None
    said = prune_after_run(str(results), Limits(None, timedelta(days=7)))
    assert said is not None
    assert said.startswith("pruned 1 cache entry, 0.0 MB")
    assert prune_after_run(str(results), Limits(None, timedelta(days=7))) is None


def test_a_failure_to_prune_is_logged_and_does_not_fail_the_run(
    results: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: object, *given: object, **options: object) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr("nerbench.artifacts.cache_pruning.find_caches", fail)
    assert prune_after_run(str(results), Limits(10**9, None)) is None
    assert "the caches are not pruned: PermissionError" in caplog.text
