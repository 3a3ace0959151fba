"""Behaviour specific to S3: lost and refused requests, wrong settings, parts and pages."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import cast

import pytest
from fake_models import MakeModel
from fault_proxy import FaultProxy

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError, StoreUnreachableError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.storage import s3
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import find_table_file, read_results
from nerbench.artifacts.unnamed_files import mapped, unnamed_file


@pytest.fixture(scope="module")
def running_proxy(bucket: str) -> Iterator[FaultProxy]:
    with FaultProxy(os.environ["AWS_ENDPOINT_URL"]) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


@pytest.fixture
def proxy(running_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> FaultProxy:
    """A proxy for all requests of the test."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", running_proxy.url)
    running_proxy.faults, running_proxy.requests = [], []
    return running_proxy


@pytest.fixture
def root(proxy: FaultProxy, s3_url: str) -> Root:
    return open_root(s3_url)


def test_two_failures_make_three_attempts(root: Root, proxy: FaultProxy, pauses: list[float]) -> None:
    proxy.faults = [503, 500]  # of which s3fs and botocore would each repeat one on their own
    root.create("a", b"1")
    assert proxy.requests == ["PUT"] * 3
    assert len(pauses) == 2
    assert root.read("a") == b"1"


def test_mapped_bytes_that_the_store_already_has_are_accepted(root: Root) -> None:
    root.create("large", b"0123456789")
    with unnamed_file() as file:
        file.write(b"0123456789")
        root.create("large", cast(bytes, mapped(file)))
    with pytest.raises(FileExistsError):
        root.create("large", b"012345678x")


@pytest.mark.parametrize("fault", [500, 503, 409, 429, 412, "drop", "lost", "refused", "cut"])
@pytest.mark.parametrize(
    "operation",
    ["create", "replace", "swap", "read", "part", "size", "modified", "chunks", "files", "upload", "delete"],
)
def test_every_operation_survives_a_fault(
    root: Root, proxy: FaultProxy, tmp_path: Path, operation: str, fault: int | str
) -> None:
    (tmp_path / "local").write_bytes(b"12345")
    root.create("folder/old", b"old")
    run: dict[str, Callable[[], object]] = {
        "create": lambda: root.create("new", b"12345"),
        "replace": lambda: root.replace("new", b"12345"),
        "upload": lambda: root.upload(tmp_path / "local", "new", sha256_hex(b"12345")),
        "swap": lambda: root.swap("folder/old", b"new", b"old") or pytest.fail("nothing"),
        "read": lambda: root.read("folder/old") == b"old" or pytest.fail("other bytes"),
        "part": lambda: root.part("folder/old", 1, 2) == b"l" or pytest.fail("other bytes"),
        "modified": lambda: root.modified("folder/old"),
        "size": lambda: root.size("folder/old") == 3 or pytest.fail("another size"),
        "chunks": lambda: list(root.chunks("folder/old")) == [b"old"] or pytest.fail("other bytes"),
        "files": lambda: root.files("folder") == ["folder/old"] or pytest.fail("another list"),
        "delete": lambda: root.delete("folder/old"),
    }
    proxy.faults = [fault]
    run[operation]()
    assert proxy.faults == []
    after = {path: root.read(path) for path in root.files(recursive=True)}
    old = {} if operation == "delete" else {"folder/old": b"new" if operation == "swap" else b"old"}
    new = {"new": b"12345"} if operation in ("create", "replace", "upload") else {}
    assert after == old | new


@pytest.mark.parametrize(
    "operation",
    [
        lambda url: open_root(url).exists("a"),
        lambda url: open_root(url).read("a"),
        lambda url: open_root(url).files(),
        lambda url: open_root(url).files(recursive=True),
        lambda url: open_root(url).create("a", b"1"),
        lambda url: Store(url).list(),
        lambda url: Store(url).aliases("toy"),
        lambda url: read_results(url, "metrics"),
        lambda url: find_table_file(url, "metrics", "key"),
    ],
)
def test_a_store_without_an_answer_is_not_an_empty_store(
    proxy: FaultProxy, s3_url: str, operation: Callable[[str], object]
) -> None:
    proxy.faults = [500] * 4
    with pytest.raises(
        StoreUnreachableError, match="cannot be reached; the last of 3 attempts failed with 500"
    ) as caught:
        operation(s3_url)
    assert caught.value.exit_status == 1
    assert str(caught.value).startswith(f"{s3_url} ")
    assert len(proxy.requests) == 3


def test_an_outage_is_neither_damage_nor_a_missing_file(proxy: FaultProxy, s3_url: str, make_model: MakeModel) -> None:
    store = Store(s3_url)
    ref = store.publish(make_model(), "toy", Provenance())
    for read in (lambda: store.verify(ref), lambda: store.manifest(ref), store.list):
        proxy.faults = [None] * (read == store.list) + [500] * 3
        with pytest.raises(StoreUnreachableError):
            read()


def test_a_permanent_failure_ends_after_three_attempts(root: Root, proxy: FaultProxy, pauses: list[float]) -> None:
    proxy.faults = [503] * 20
    with pytest.raises(StoreUnreachableError, match="failed with 503 SlowDown"):
        root.create("a", b"1")
    assert proxy.requests == ["PUT"] * 3
    assert len(pauses) == 2


def test_own_lost_writes_are_recognised(root: Root, proxy: FaultProxy) -> None:
    proxy.faults = ["lost", "lost"]
    root.create("a", b"mine")
    proxy.faults = [412]
    root.create("a", b"mine")
    proxy.faults = [412]  # without the name of the condition
    with pytest.raises(FileExistsError, match="exists already"):
        root.create("a", b"other")
    assert root.read("a") == b"mine"


def test_a_refusal_of_a_creation_although_there_is_no_file(root: Root, proxy: FaultProxy) -> None:
    proxy.faults = [412]
    root.create("a", b"mine")
    assert root.read("a") == b"mine"


@pytest.mark.parametrize("fault", [503, 409, "drop", "lost", "refused", 412])
def test_a_swap_knows_its_own_write(root: Root, proxy: FaultProxy, fault: int | str) -> None:
    root.create("a", b"old")
    proxy.faults = [None, None, fault]
    swapped = root.swap("a", b"new", b"old")
    assert proxy.faults == []
    assert swapped is (fault != 412)  # it was refused without a reason, and the caller reads it again
    assert root.read("a") == (b"new" if swapped else b"old")


def test_an_overtaken_swap_writes_nothing(root: Root, proxy: FaultProxy) -> None:
    root.create("a", b"old")
    part = root.part

    def overtaken(path: str, start: int, end: int) -> bytes:
        found = part(path, start, end)
        root.replace("a", b"theirs")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "part", overtaken)
        assert not root.swap("a", b"mine", b"old")
    assert root.read("a") == b"theirs"


def test_uploaded_files_are_not_read_again(root: Root, proxy: FaultProxy, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"12345")
    root.upload(tmp_path / "weights", "blobs/w", sha256_hex(b"12345"))
    root.now("blobs/w")  # which it learns once
    proxy.requests.clear()
    assert not root.upload(tmp_path / "weights", "blobs/w", sha256_hex(b"12345"))
    assert proxy.requests == ["HEAD", "HEAD"]


def test_blobs_in_parts(root: Root, proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_PART", 5 << 20)
    data = os.urandom(11 << 20)
    (tmp_path / "weights").write_bytes(data)
    proxy.faults = [None, None, 500]  # what is there, start, a part
    assert root.upload(tmp_path / "weights", "blob", sha256_hex(data))
    assert proxy.requests.count("POST") == 3  # started twice, completed once
    assert [len(chunk) for chunk in root.chunks("blob")] == [8 << 20, 3 << 20]
    assert root.download("blob", tmp_path / "copy") == sha256_hex(data)


def test_listings_of_many_pages(s3_url: str) -> None:
    root = open_root(s3_url)
    names = [f"many/{number:02}" for number in range(25)]
    for name in names:
        root.create(name, b"")
    root.create("many/deep/er", b"")
    root._fs.pipe_file(f"{root._base}/many/folder/", b"")  # type: ignore[attr-defined]
    root._fs.pipe_file(f"{root._base}/many/", b"")  # type: ignore[attr-defined]
    assert root.files("many") == names
    assert root.files("many", recursive=True) == [*names, "many/deep/er"]


@pytest.mark.parametrize(
    ("url", "environment", "message"),
    [
        ("s3://no-such-bucket/x", {}, "its bucket does not exist; create it"),
        ("s3://no_such bucket!/x", {}, "no valid bucket name"),
        ("s3://", {}, "names no bucket"),
        ("s3:///x", {}, "names no bucket"),
        (None, {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "no credentials.*set AWS_ACCESS_KEY_ID"),
        (None, {"AWS_SECRET_ACCESS_KEY": None}, "missing: AWS_SECRET_ACCESS_KEY; check the AWS_"),
        (None, {"AWS_PROFILE": "nobody"}, r"nobody.*; check the AWS_… variables and ~/\.aws/config"),
        (None, {"AWS_ENDPOINT_URL": "nonsense"}, "Invalid endpoint: nonsense; check"),
    ],
)
def test_wrong_settings(
    s3_url: str,
    url: str | None,
    environment: dict[str, str | None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    pauses: list[float],
) -> None:
    for name, value in environment.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    operations: list[Callable[[Root], object]] = [
        lambda root: root.exists("a"),
        lambda root: root.files(),
        lambda root: root.files(recursive=True),
        lambda root: root.read("a"),
        lambda root: root.create("a", b"1"),
    ]
    for operation in operations:
        with pytest.raises(InputError, match=message) as caught:
            operation(open_root(url or s3_url))
        assert str(caught.value).startswith(f"location {url or s3_url}".rstrip("/"))
        assert "\n" not in str(caught.value)
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "refused"), (401, "refused"), (400, "by 400 Fault"), (404, "by 404 Fault"), (501, "by 501")],
)
def test_refusals_are_not_repeated(root: Root, proxy: FaultProxy, status: int, message: str) -> None:
    for operation in (lambda: root.read("a"), root.files, lambda: root.create("a", b"1")):
        proxy.requests.clear()
        proxy.faults = [status]
        with pytest.raises(InputError, match=message):
            operation()
        assert len(proxy.requests) == 1


def test_no_server_at_all(s3_url: str, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreUnreachableError, match=r"Could not connect.*127\.0\.0\.1:9"):
        open_root(s3_url).exists("a")
    assert len(pauses) == 2


def test_a_client_serves_all_roots_of_its_environment(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def client() -> object:
        return open_root(s3_url)._fs  # type: ignore[attr-defined]

    first = client()
    assert client() is first
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "other")
    assert client() is not first
