"""The contract of `Root`, on every filesystem."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from threading import Barrier

import pytest

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError, NerbenchError
from nerbench.artifacts.storage import paths
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root


def test_create_is_exclusive(root: Root) -> None:
    root.create("a/b.json", b"first")
    with pytest.raises(FileExistsError):
        root.create("a/b.json", b"second")
    assert root.read("a/b.json") == b"first"
    assert root.size("a/b.json") == 5


def test_eight_threads_have_one_winner(root: Root) -> None:
    for turn in range(5):
        barrier = Barrier(8)

        def attempt(number: int, path: str = f"race-{turn}", barrier: Barrier = barrier) -> int | None:
            barrier.wait()
            try:
                root.create(path, str(number).encode() * 1000)
            except FileExistsError:
                return None
            return number

        with ThreadPoolExecutor(8) as pool:
            winners = [number for number in pool.map(attempt, range(8)) if number is not None]
        assert len(winners) == 1
        assert root.read(f"race-{turn}") == str(winners[0]).encode() * 1000


def test_replace_overwrites(root: Root) -> None:
    root.replace("alias.json", b"old")
    root.replace("alias.json", b"new")
    assert root.read("alias.json") == b"new"


def test_files_lists_finished_files(root: Root) -> None:
    for path in ("x/b", "x/a", "x/deep/c", "xx/d"):
        root.create(path, b"1")
    root.replace("x/.half.tmp", b"1")
    assert root.files("x") == ["x/a", "x/b"]
    assert root.files("x", recursive=True) == ["x/a", "x/b", "x/deep/c"]
    assert root.files(recursive=True) == ["x/a", "x/b", "x/deep/c", "xx/d"]
    assert root.files("nothing/here", recursive=True) == []


def test_missing_files(root: Root) -> None:
    root.create("folder/file", b"1")
    assert not root.exists("nothing")
    assert not root.exists("folder")
    for read in (root.read, root.size, root.sha256):
        with pytest.raises(FileNotFoundError):
            read("nothing")
    root.delete("nothing")
    root.delete("folder/file")
    assert not root.exists("folder/file")


def test_upload_and_download(root: Root, tmp_path: Path) -> None:
    local = tmp_path / "weights"
    data = os.urandom(3_000_000)
    local.write_bytes(data)
    digest = sha256_hex(data)
    assert root.upload(local, "blobs/w", digest)
    assert not root.upload(local, "blobs/w", digest)
    target = tmp_path / "new" / "copy"
    assert root.download("blobs/w", target) == root.sha256("blobs/w") == digest
    assert target.read_bytes() == data
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("damaged", [b"", b"123", b"12346"])
def test_upload_repairs_damaged_files(
    root: Root, tmp_path: Path, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "weights").write_bytes(b"12345")
    root.create("blobs/w", damaged)
    assert root.upload(tmp_path / "weights", "blobs/w", sha256_hex(b"12345"))
    assert root.read("blobs/w") == b"12345"
    assert f"{root.uri('blobs/w')} is damaged" in caplog.text


def test_upload_notices_a_concurrent_change(root: Root, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"new")
    with pytest.raises(InputError, match="weights: changed while it was published"):
        root.upload(tmp_path / "weights", "blobs/w", sha256_hex(b"old"))
    assert not root.exists("blobs/w")


def test_upload_renews_old_files(root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").write_bytes(b"12345")
    digest = sha256_hex(b"12345")
    root.upload(tmp_path / "weights", "blobs/w", digest)
    first = root.modified("blobs/w")
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=1)
    assert not root.upload(tmp_path / "weights", "blobs/w", digest)
    assert root.modified("blobs/w") == first
    monkeypatch.setattr("nerbench.artifacts.storage.filesystem.FRESH", timedelta(days=-1))
    renewed: list[str] = []
    renew = root._renew
    monkeypatch.setattr(root, "_renew", lambda *given: (renewed.append(given[1]), renew(*given)))
    assert not root.upload(tmp_path / "weights", "blobs/w", digest)
    assert renewed == ["blobs/w"]
    assert root.modified("blobs/w") >= first
    assert root.read("blobs/w") == b"12345"
    assert not root.upload(tmp_path / "weights", "blobs/w", digest)


def test_swap_writes_if_the_file_is_unchanged(root: Root) -> None:
    assert not root.swap("a/alias.json", b"1", b"0")
    assert root.swap("a/alias.json", b"1", None)
    assert not root.swap("a/alias.json", b"2", None)
    assert not root.swap("a/alias.json", b"2", b"0")
    assert root.swap("a/alias.json", b"2", b"1")
    assert root.read("a/alias.json") == b"2"
    assert root.files("a") == ["a/alias.json"]
    assert set(root.inventory("a").files) <= {"a/alias.json", "a/.lock.tmp"}


def test_one_of_eight_swaps_wins(root: Root) -> None:
    root.create("alias", b"0")
    for turn in range(5):
        barrier, before = Barrier(8), str(turn * 10).encode()
        root.replace("alias", before)

        def attempt(number: int, before: bytes = before, barrier: Barrier = barrier) -> bytes | None:
            barrier.wait()
            data = before + b" " + str(number).encode()
            return data if root.swap("alias", data, before) else None

        with ThreadPoolExecutor(8) as pool:
            winners = [data for data in pool.map(attempt, range(8)) if data is not None]
        assert winners == [root.read("alias")]


def test_parts(root: Root) -> None:
    root.create("a", b"0123456789")
    assert (root.part("a", 0, 3), root.part("a", 4, 6), root.part("a", 8, 20)) == (b"012", b"45", b"89")
    for read in (lambda: root.part("nothing", 0, 1), lambda: root.modified("nothing")):
        with pytest.raises(FileNotFoundError):
            read()


def test_an_inventory_lists_every_file(root: Root) -> None:
    for path in ("a/b", "a/deep/c", f"a/.{'0' * 32}.tmp"):
        root.create(path, b"1")
    assert root.inventory("a") == ([f"a/.{'0' * 32}.tmp", "a/b", "a/deep/c"], [])
    assert root.inventory("nothing") == ([], [])


def test_the_time_is_that_of_the_store(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    create = root.create
    monkeypatch.setattr(root, "create", lambda path, data: (written.append(path), create(path, data)))
    then = datetime(2001, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(root, "modified", lambda path: then)
    first, second = root.now("a/b"), root.now("c")
    assert then <= first <= second < then + timedelta(hours=1)
    assert [PurePosixPath(path).parent for path in written] == [PurePosixPath("a")]
    assert root.inventory("a") == ([], [])


def test_empty_files(root: Root, tmp_path: Path) -> None:
    root.create("empty", b"")
    assert (root.read("empty"), root.size("empty"), list(root.chunks("empty"))) == (b"", 0, [])
    assert root.download("empty", tmp_path / "empty") == sha256_hex(b"")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "C:/x", "a\\b", "a\0b", "a/"])
def test_paths_stay_inside(root: Root, path: str) -> None:
    with pytest.raises(ValueError, match=r"plain relative|holds a"):
        root.create(path, b"x")


def test_uris_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_root("var/../store").uri("a/b") == f"{tmp_path}/store/a/b"
    assert open_root(f"file://{tmp_path}/x/").url == f"{tmp_path}/x"
    assert open_root("memory://x/y/").uri("a") == "memory://x/y/a"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense://x", "nonsense"),
        ("hf://org/model", "cannot be written to"),
        ("simplecache::s3://bucket", "cannot be written to"),
        ("s3://key:geheim@bucket/x", "credential"),
    ],
)
def test_unusable_locations(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_root(url)
    assert "geheim" not in str(caught.value)


def test_modes_respect_the_umask(tmp_path: Path) -> None:
    root = open_root(str(tmp_path / "root"))
    before = os.umask(0o027)
    try:
        root.create("a", b"1")
        root.download("a", tmp_path / "b")
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "root/a", tmp_path / "b")] == [0o640, 0o640]


def test_a_crash_before_publishing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = open_root(str(tmp_path))

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(paths.os, "fsync", fail)
    for write in (root.create, root.replace):
        with pytest.raises(NerbenchError, match=f"{tmp_path}/a cannot be written: No space left on device; make room"):
            write("a", b"1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_without_hard_links_nothing_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(paths.os, "link", refuse)
    root = open_root(str(tmp_path / "root"))
    with pytest.raises(InputError, match="its file system has no hard links"):
        root.create("a", b"1")
    assert list((tmp_path / "root").iterdir()) == []
    root.replace("a", b"1")
    assert root.read("a") == b"1"


def test_unwritable_places_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written to"):
        open_root(str(tmp_path / "file")).create("a", b"1")
