"""The doctor: passing checks, and reports of failing ones."""

import os
import shutil
from collections import namedtuple
from collections.abc import Iterator
from email.message import Message
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from fault_proxy import FaultProxy
from s3_server import running_s3

from nerbench.artifacts.storage.open_root import open_root
from nerbench.flows.commands.doctor import state
from nerbench.tasks import doctor
from nerbench.tasks.doctor import Check, checks


def found(store: str, results: str) -> dict[str, Check]:
    return {check.name: check for check in checks(store, results)}


@pytest.fixture
def url() -> str:
    """A separate store in memory."""
    return f"memory://doctor-{uuid4().hex}"


def test_a_suitable_machine_passes_and_is_not_changed(tmp_path: Path, url: str) -> None:
    results = found(str(tmp_path), url)
    assert next(iter(results)) == "python"
    assert {"prefect", "sqlalchemy", "torch", "device", "threads", "store", "results"} <= set(results)
    for check in results.values():
        assert check.ok or check.name in {"threads", "store disk"}, check
        assert bool(check.remedy) is not check.ok or check.name == "threads"
    assert list(tmp_path.iterdir()) == []
    assert open_root(url).files(recursive=True) == []


def test_a_store_below_a_file_is_refused_in_one_line(tmp_path: Path, url: str) -> None:
    (tmp_path / "file").write_text("")
    check = found(str(tmp_path / "file" / "store"), url)["store"]
    assert not check.ok
    assert str(tmp_path / "file") in check.detail
    assert "permissions" in check.remedy
    assert "\n" not in check.detail


def test_an_unknown_protocol_is_refused(tmp_path: Path) -> None:
    check = found(str(tmp_path), "gopher://x")["results"]
    assert not check.ok
    assert "gopher" in check.detail


class Forgetful:
    """A store that overwrites existing files, or returns other bytes."""

    def __init__(self, overwrites: bool) -> None:
        self.overwrites, self.held = overwrites, False

    def create(self, path: str, data: bytes) -> None:
        if self.held and not self.overwrites:
            raise FileExistsError
        self.held = True

    def read(self, path: str) -> bytes:
        return b"nerbench" if self.overwrites else b"stale"

    def delete(self, path: str) -> None:
        self.held = False


@pytest.mark.parametrize(("overwrites", "says"), [(True, "overwritten"), (False, "reads back otherwise")])
def test_a_store_without_exclusive_creation_is_reported(
    monkeypatch: pytest.MonkeyPatch, overwrites: bool, says: str
) -> None:
    monkeypatch.setattr(doctor, "open_root", lambda url: Forgetful(overwrites))
    check = doctor._probe("store", "odd://x")
    assert not check.ok
    assert says in check.detail
    assert "exclusive creation" in check.remedy


class IgnoresIfMatch(FaultProxy):
    """An S3 that ignores conditions of writes."""

    def next_fault(self, method: str, path: str, headers: Message) -> int | str | None:
        del headers["If-Match"]
        return None


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with running_s3() as url:
        yield url


def test_a_store_with_conditional_writes_passes(bucket: str) -> None:
    check = doctor._probe("store", f"{bucket}/fit", aliases=True)
    assert check.ok
    assert check.detail.endswith("exclusive creation, read-after-write and compare-and-swap hold")
    assert open_root(f"{bucket}/fit").files(recursive=True) == []


def test_a_store_that_ignores_if_match_is_reported(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with IgnoresIfMatch(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01}).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        check = doctor._probe("store", f"{bucket}/unfit", aliases=True)
        left = open_root(f"{bucket}/unfit").files(recursive=True)
        proxy.shutdown()
    assert not check.ok
    assert "an alias that another writer has just moved is overwritten" in check.detail
    assert "honours If-Match" in check.remedy
    assert left == []


@pytest.mark.parametrize("version", [None, "2.1.0", "0.1"])
def test_a_version_outside_the_range_names_the_command(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    monkeypatch.setattr(doctor, "installed", lambda name: version)
    check = next(check for check in doctor._versions() if check.name == "sqlalchemy")
    assert not check.ok
    assert (version or "missing") in check.detail
    assert check.remedy.startswith("pip install 'sqlalchemy")


def test_a_build_suffix_is_no_other_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed", lambda name: "2.13.0+cpu")
    assert next(check for check in doctor._versions() if check.name == "torch").ok


def test_a_full_disk_is_seen_before_the_folder_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 10, 1_000_000))
    check = doctor._disk("store", tmp_path / "not" / "yet")
    assert not check.ok
    assert "GB" in check.remedy


@pytest.mark.parametrize(("load", "shown"), [(0.1, "ok"), (99.0, "warning")])
def test_a_busy_machine_is_a_warning(monkeypatch: pytest.MonkeyPatch, load: float, shown: str) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    check = doctor._threads()
    assert check.ok
    assert ("OMP_NUM_THREADS" in check.remedy) is (shown == "warning")
    assert state(check._asdict()) == shown


def test_more_threads_than_cores_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set())
    check = doctor._threads()
    assert not check.ok
    assert state(check._asdict()) == "FAILED"


def test_whatever_fails_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(doctor, "installed", lambda name: None)
    monkeypatch.setattr("os.getloadavg", lambda: (999.0, 999.0, 999.0))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 10, 0))
    monkeypatch.setattr("sys.version_info", (3, 10, 9))
    results = found(str(tmp_path / "file" / "store"), str(tmp_path / "file" / "results"))
    assert {name for name, check in results.items() if check.ok} == {"device", "threads"}
    assert [name for name, check in results.items() if not check.remedy] == ["device"]
    assert all("\n" not in check.detail + check.remedy for check in results.values())


def test_versions_are_held_to_the_metadata_of_the_installed_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed wheel has no pyproject.toml."""
    declared = [f"{name}>=0" for name in doctor.PINNED if name != "torch"] + ["torch==0.1", "torch>=9; extra == 'x'"]
    monkeypatch.setattr(doctor, "requires", {"nerbench": declared}.get)
    checks = {check.name: check for check in doctor._versions()}
    assert [name for name, check in checks.items() if not check.ok] == ["torch"]
    assert checks["torch"].remedy == "pip install 'torch==0.1'"
