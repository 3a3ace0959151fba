"""Compares the table of capabilities of each store with the behaviour of the filesystems."""

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any

import fsspec
import pytest
import store_capabilities
from hub_client import use_hub
from hub_repo import Repo
from hub_server import FakeHub, Reply, running_hub
from huggingface_hub import CommitOperationAdd
from huggingface_hub.errors import HfHubHTTPError
from store_capabilities import ADDED, ITSELF, MISSING, STORES, TABLE, UNPROBED, Capability

from nerbench.artifacts import hub_models as reading
from nerbench.artifacts.errors import ArtifactNotFoundError, InputError, NerbenchError
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.remote import FsspecRoot

MODEL = "org/model"


class Bench:
    """One store: fsspec's own filesystem with its defaults, and nerbench's root at the same place."""

    def __init__(self, url: str, patch: pytest.MonkeyPatch) -> None:
        self.url, self.patch = url, patch
        self.fs, self.base = fsspec.core.url_to_fs(url, skip_instance_cache=True)

    @property
    def root(self) -> FsspecRoot:
        found = open_root(self.url)
        assert isinstance(found, FsspecRoot)
        return found

    def other_writes(self, path: str, data: bytes) -> None:
        """Another process writes a file."""
        self.root.replace(path, data)

    @contextmanager
    def unlistable(self, folder: str) -> Iterator[None]:
        """Within this context, a folder cannot be listed; memory has no folders."""
        yield


class LocalBench(Bench):
    @contextmanager
    def unlistable(self, folder: str) -> Iterator[None]:
        honest = os.scandir

        def refuse(path: Any) -> Any:
            if os.fspath(path).endswith(folder):
                raise PermissionError(13, "Permission denied", os.fspath(path))
            return honest(path)

        with self.patch.context() as patch:
            patch.setattr(os, "scandir", refuse)
            yield


class S3Bench(Bench):
    @contextmanager
    def unlistable(self, folder: str) -> Iterator[None]:
        with self.patch.context() as patch:
            patch.setattr(self, "url", "s3://no-such-bucket/x")
            patch.setattr(self, "base", "no-such-bucket/x")
            yield


class _Handler(SimpleHTTPRequestHandler):
    refused = ""

    def send_head(self) -> Any:
        if self.refused and self.path.rstrip("/").endswith(self.refused):
            self.send_error(500)
            return None
        return super().send_head()

    def log_message(self, format: str, *args: object) -> None:
        pass


class HttpBench(Bench):
    def __init__(self, url: str, patch: pytest.MonkeyPatch, served: Path) -> None:
        super().__init__(url, patch)
        self.served = served

    def other_writes(self, path: str, data: bytes) -> None:
        (self.served / path).parent.mkdir(parents=True, exist_ok=True)
        (self.served / path).write_bytes(data)

    @contextmanager
    def unlistable(self, folder: str) -> Iterator[None]:
        with self.patch.context() as patch:
            patch.setattr(_Handler, "refused", folder)
            yield


@pytest.fixture(params=["file", "memory", "s3", "http"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    kind: str = request.param
    if kind == "http":
        served = tmp_path / "served"
        served.mkdir()
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(served))) as server:
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
            yield HttpBench(f"http://127.0.0.1:{server.server_port}", monkeypatch, served)
            server.shutdown()
        return
    url = f"file://{tmp_path}/root" if kind == "file" else request.getfixturevalue(f"{kind}_url")
    (tmp_path / "root").mkdir()
    yield {"file": LocalBench, "memory": Bench, "s3": S3Bench}[kind](url, monkeypatch)


def winners(fs: Any, create: Callable[[bytes], None], patience_s: float) -> int:
    """The number of successful writers of two that both look for the file before either writes it."""
    barrier, honest = Barrier(2), fs.exists

    def exists(path: str, **options: Any) -> bool:
        found: bool = honest(path, **options)
        with suppress(BrokenBarrierError):
            barrier.wait(patience_s)
        return found

    def attempt(number: int) -> bool:
        try:
            create(b"%d" % number)
        except FileExistsError:
            return False
        return True

    fs.exists = exists
    try:
        with ThreadPoolExecutor(2) as pool:
            return sum(pool.map(attempt, range(2)))
    finally:
        del fs.exists


def exclusive_raw(bench: Bench) -> bool:
    return winners(bench.fs, lambda data: bench.fs.pipe_file(f"{bench.base}/new", data, mode="create"), 60) == 1


def exclusive(bench: Bench) -> bool:
    root = bench.root
    return winners(root._fs, lambda data: root.create("own", data), 0.1) == 1


def swap_raw(bench: Bench) -> bool:
    path = f"{bench.base}/alias"
    bench.fs.pipe_file(path, b"before")
    tag = bench.fs.info(path).get("ETag")
    bench.fs.pipe_file(path, b"now")
    with suppress(OSError):
        bench.fs.pipe_file(path, b"outdated", **({"IfMatch": tag} if tag else {}))
    return bool(bench.fs.cat_file(path) == b"now")


def whole_raw(bench: Bench) -> bool:
    """A reader that began before the file was replaced still gets the old bytes."""
    path, old = f"{bench.base}/file", b"o" * 100_000
    bench.fs.pipe_file(path, old)
    if bench.url.startswith("file"):
        with bench.fs.open(path) as reader:
            bench.fs.pipe_file(path, b"new")
            return bool(reader.read() == old)
    bench.fs.pipe_file(path, b"new")
    return bool(bench.fs.cat_file(path) == b"new")


def whole(bench: Bench) -> bool:
    old = b"o" * 100_000
    bench.root.replace("whole", old)
    with bench.root.opened("whole") as reader:
        bench.root.replace("whole", b"new")
        return reader.read() == old and bench.root.read("whole") == b"new"


def synced(bench: Bench, write: Callable[[], None]) -> bool:
    """Whether a write syncs the file, and the folder that names it."""
    kinds: set[int] = set()
    with bench.patch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: kinds.add(stat.S_IFMT(os.fstat(descriptor).st_mode)))
        write()
    return kinds == {stat.S_IFREG, stat.S_IFDIR}


def honest_raw(bench: Bench) -> bool:
    bench.other_writes("folder/deep/file", b"1")
    with bench.unlistable("deep"):
        try:
            found = bench.fs.find(f"{bench.base}/folder")
        except Exception as error:
            return not isinstance(error, FileNotFoundError)
    return bool(found)


def honest(bench: Bench) -> bool:
    bench.other_writes("folder/deep/file", b"1")
    with bench.unlistable("deep"), suppress(NerbenchError):
        bench.root.files("folder", recursive=True)
        return False
    return True


def names(found: list[Any]) -> set[str]:
    return {str(one["name"] if isinstance(one, dict) else one).rpartition("/")[2] for one in found}


def fresh_raw(bench: Bench) -> bool:
    bench.other_writes("folder/a", b"1")
    bench.fs.ls(f"{bench.base}/folder")
    bench.other_writes("folder/b", b"1")
    return "b" in names(bench.fs.ls(f"{bench.base}/folder"))


def fresh(bench: Bench) -> bool:
    bench.other_writes("fresh/a", b"1")
    root = bench.root
    root.files("fresh")
    bench.other_writes("fresh/b", b"1")
    return root.files("fresh") == ["fresh/a", "fresh/b"]


def is_now(when: datetime) -> bool:
    return abs(datetime.now(UTC) - (when if when.tzinfo else when.replace(tzinfo=UTC))) < timedelta(minutes=1)


def dated_raw(bench: Bench) -> bool:
    bench.other_writes("dated", b"1")
    return is_now(bench.fs.modified(f"{bench.base}/dated"))


def dated(bench: Bench) -> bool:
    return is_now(bench.root.modified("dated"))


def ranges_raw(bench: Bench) -> bool:
    bench.other_writes("ranges", b"0123456789")
    return bool(bench.fs.cat_file(f"{bench.base}/ranges", start=2, end=4) == b"23")


def ranges(bench: Bench) -> bool:
    return bench.root.part("ranges", 2, 4) == b"23"


Probe = Callable[[Bench], bool]
PROBES: dict[str, tuple[Probe, Probe]] = {
    "exclusive creation": (exclusive_raw, exclusive),
    "compare and swap": (swap_raw, lambda bench: bench.root.refuses_outdated_swap("swapped")),
    "whole files": (whole_raw, whole),
    "durable writes": (
        lambda bench: synced(bench, lambda: bench.fs.pipe_file(f"{bench.base}/synced", b"1")),
        lambda bench: synced(bench, lambda: bench.root.replace("synced-too", b"1")),
    ),
    "honest listings": (honest_raw, honest),
    "fresh listings": (fresh_raw, fresh),
    "dates of the store": (dated_raw, dated),
    "ranges": (ranges_raw, ranges),
}


def holds(probe: Probe, bench: Bench) -> bool:
    """Whether a filesystem has a capability; False if it lacks the operation."""
    try:
        return probe(bench)
    except Exception:
        return False


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_capabilities_match_the_table(bench: Bench, row: Capability) -> None:
    cell = getattr(row, bench.url.partition("://")[0])
    if cell.endswith(UNPROBED):
        pytest.skip("no test can tell")
    by_itself, on_top = PROBES[row.name]
    assert cell == (ITSELF if holds(by_itself, bench) else ADDED if holds(on_top, bench) else MISSING)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with running_hub() as server:
        use_hub(monkeypatch, server, tmp_path / "home")
        server.repos[MODEL] = Repo(private=True)
        server.repos[MODEL].commit({"a": b"1"})
        yield server


def test_capabilities_of_the_hub(hub: FakeHub) -> None:
    """Against a fake Hub: a commit names the commit that must be the newest."""
    with pytest.raises(InputError, match="cannot be written to"):
        open_root(f"hf://{MODEL}")
    outdated = reading.resolve(MODEL, None)
    hub.repos[MODEL].commit({"a": b"2"})
    assert reading.resolve(MODEL, None) == hub.repos[MODEL].head != outdated
    operations = [CommitOperationAdd("a", b"3")]
    with pytest.raises(HfHubHTTPError, match="412"):
        reading.client().create_commit(MODEL, operations, commit_message="late", parent_commit=outdated)
    assert hub.repos[MODEL].files == {"a": b"2"}
    hub.faults += [("GET /api/models/org/model/tree", lambda serve: Reply(403, {"error": "no"}))]
    with pytest.raises(ArtifactNotFoundError, match="cannot be had"):
        reading.snapshot(f"hf://{MODEL}")
    progress = {row.name: row.hf for row in TABLE if not row.hf.endswith(UNPROBED)}
    assert progress == {
        "exclusive creation": MISSING,
        "compare and swap": ADDED,
        "honest listings": ADDED,
        "fresh listings": ADDED,
    }


def test_capabilities_are_printed() -> None:
    print(f"\n{store_capabilities.markdown()}")
    assert set(PROBES) == {row.name for row in TABLE}
    assert Capability._fields[2:] == STORES
