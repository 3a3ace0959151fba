"""Pruning a cache beyond its limits: which entries are removed, and which are kept."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_models import MakeModel
from hypothesis import given
from hypothesis import strategies as st

from nerbench.artifacts import cache_pruning as pruning
from nerbench.artifacts import local_copies as copies
from nerbench.artifacts.cache_pruning import Entry, Limits, local_models, remove_local, surplus, tokenized_corpora
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.store import Store

NOW = datetime(2026, 11, 30, tzinfo=UTC)
NOTHING = Limits(0, None)
MATERIALISE = """
import sys
from nerbench.artifacts.references import materialise, resolve_one
print(materialise(resolve_one("toy", sys.argv[1])), flush=True)
sys.stdin.read()
"""

entries = st.builds(
    lambda number, size, days, in_use: Entry(
        "models", str(number), size, NOW - timedelta(days=days), in_use, (str(number),)
    ),
    st.integers(),
    st.integers(0, 100),
    st.floats(0, 100),
    st.booleans(),
)
limits = st.builds(
    Limits,
    st.none() | st.integers(0, 1000),
    st.none() | st.floats(0, 100).map(lambda days: timedelta(days=days)),
)


@given(st.lists(entries, max_size=20), limits)
def test_the_least_recently_used_go_until_the_limits_hold(found: list[Entry], limits: Limits) -> None:
    gone = surplus(found, limits, NOW)
    left = list(found)
    for entry in gone:
        left.remove(entry)
    assert not any(entry.in_use for entry in gone)
    removable = [entry for entry in left if not entry.in_use]
    if limits.age is not None:
        assert all(NOW - entry.used <= limits.age for entry in removable)
    if limits.bytes is not None:
        assert sum(entry.bytes for entry in left) <= limits.bytes or not removable
    if limits.age is None and limits.bytes is not None and gone:
        assert all(entry.used >= gone[-1].used for entry in removable)
        last = gone[-1]
        assert sum(entry.bytes for entry in [*left, last]) > limits.bytes, "one too many went"
    if limits == Limits(None, None):
        assert gone == []


@pytest.fixture
def unleased(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the copies look like those of a process that has ended."""
    monkeypatch.setattr(copies, "_lease", lambda path: None)


def age(path: Path, days: float) -> None:
    os.utime(path, (NOW.timestamp() - days * 86400,) * 2)


def prune(cache: Path, limits: Limits = NOTHING) -> list[str]:
    return [entry.name for entry in surplus(local_models(cache, NOW), limits, NOW) if remove_local(cache, entry)]


@pytest.mark.usefixtures("unleased")
def test_the_older_copy_is_removed_with_its_unshared_blobs(store: Store, make_model: MakeModel, cache: Path) -> None:
    refs = [store.publish(make_model(f"m{n}", value=n), f"m{n}", Provenance()) for n in (1, 2)]
    for days, ref in ((9, refs[0]), (3, refs[1])):
        age(store.materialise(ref), days)
    held = sum(path.stat().st_size for path in {p.stat().st_ino: p for p in cache.rglob("*") if p.is_file()}.values())
    assert sum(entry.bytes for entry in local_models(cache, NOW)) == held
    assert prune(cache, Limits(None, timedelta(days=5))) == [f"snapshots/{refs[0].model_sha256}"]
    left = [path for path in cache.rglob("*") if path.is_file()]
    assert sum(path.parent.name == refs[1].model_sha256 for path in left) == 3
    assert sum(path.parent.name == "blobs" for path in left) == 3, "the shared configuration stays"
    assert (store.materialise(refs[0]) / "model.safetensors").exists(), "it is fetched again"


def test_what_vanishes_after_the_listing_is_left_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = pruning._named

    def with_a_removed_file(folder: Path, **options: Any) -> list[Path]:
        return [*listed(folder, **options), folder / f"{'0' * 64}.arrow"]

    monkeypatch.setattr(pruning, "_named", with_a_removed_file)
    assert local_models(cache, NOW) == tokenized_corpora(cache, NOW) == []


@pytest.mark.usefixtures("unleased")
def test_a_use_counts(store: Store, ref: ArtifactRef, cache: Path) -> None:
    age(store.materialise(ref), 30)
    store.materialise(ref)
    (entry,) = local_models(cache, NOW)
    assert entry.used > NOW - timedelta(days=1)


@pytest.mark.usefixtures("unleased")
def test_a_copy_used_after_the_listing_stays(store: Store, ref: ArtifactRef, cache: Path) -> None:
    age(store.materialise(ref), 30)
    (entry,) = local_models(cache, NOW)
    folder = store.materialise(ref)
    assert not remove_local(cache, entry)
    assert (folder / "model.safetensors").exists()


def test_a_copy_in_use_by_this_process_stays(store: Store, ref: ArtifactRef, cache: Path) -> None:
    age(store.materialise(ref), 30)
    assert [entry.in_use for entry in local_models(cache, NOW)] == [True]
    assert prune(cache) == []


def test_a_copy_in_use_by_another_process_stays_until_it_ends(
    tmp_path: Path, make_model: MakeModel, cache: Path
) -> None:
    store = Store(str(tmp_path / "store"))
    store.publish(make_model(), "toy", Provenance())
    command = [sys.executable, "-c", MATERIALISE, store.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout
        folder = Path(user.stdout.readline().strip())
        age(folder, 30)
        (listed,) = local_models(cache, NOW)
        assert listed.in_use
        assert prune(cache) == []
        assert not remove_local(cache, listed)
        user.kill()
    assert prune(cache) == [f"snapshots/{folder.name}"]
    assert not folder.exists()
    assert list((cache / "blobs").iterdir()) == []


@pytest.mark.usefixtures("unleased")
def test_only_known_names_are_removed_and_links_are_not_followed(
    store: Store, ref: ArtifactRef, cache: Path, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    precious = [victim / ("a" * 64), victim / "holiday.jpg"]
    for path in precious:
        path.write_text("precious")
        age(path, 300)
    age(store.materialise(ref), 30)
    mine = [cache / "blobs" / "notes.txt", cache / "snapshots" / "mine" / "a", cache / "training" / ("b" * 64)]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        age(path, 300)
    (cache / "snapshots" / ("c" * 64)).symlink_to(victim)
    (cache / "blobs" / ("d" * 64)).symlink_to(precious[0])
    assert prune(cache) == [f"snapshots/{ref.model_sha256}"]
    (cache / "blobs").rename(tmp_path / "elsewhere")
    (cache / "blobs").symlink_to(victim)
    assert prune(cache) == []
    assert all(path.exists() for path in [*precious, *mine[1:], tmp_path / "elsewhere" / "notes.txt"])


@pytest.mark.usefixtures("unleased")
def test_leftovers_of_a_killed_download_are_removed_after_a_day(cache: Path) -> None:
    leftover = cache / "blobs" / f".{'0' * 32}.tmp"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    age(leftover, 0.5)
    assert prune(cache) == []
    age(leftover, 2)
    assert prune(cache) == [f"blobs/{leftover.name}"]


@pytest.mark.usefixtures("unleased")
def test_a_blob_that_is_pruned_while_it_is_linked_is_fetched_again(
    store: Store, ref: ArtifactRef, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, pruned = copies._link, []

    def prune_first(blob: Path, target: Path, temporaries: Path) -> None:
        if not pruned:
            pruned.append(blob.unlink())
        link(blob, target, temporaries)

    monkeypatch.setattr(copies, "_link", prune_first)
    assert len(list(store.materialise(ref).iterdir())) == 3
