"""Lookup of stored predictions: damage is reported, and an unreachable store raises; neither is a silent miss."""

import errno
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from evaluation_records import evaluation_record
from faulty_reads import Faults, faulty_reads

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import InputError, StoreUnreachableError
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.tasks.inference import evaluation_cache
from nerbench.tasks.inference.evaluation_cache import EvaluationRecord, State, keep, keep_date, look_up

DATA = b"predictions"
RECORD = evaluation_record(key="a" * 64, sha256=sha256_hex(DATA))


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A results folder with RECORD and its predictions."""
    file = tmp_path / "predictions.parquet"
    file.write_bytes(DATA)
    root = open_root(str(tmp_path / "results"))
    keep(root, RECORD, file)
    return root


def found(root: Root) -> tuple[State, EvaluationRecord | None]:
    return look_up(root, RECORD.folder, "tiny")


def torn(record: bytes) -> bytes:
    return record[: len(record) // 2]


def no_text(record: bytes) -> bytes:
    return b"\xff" + record


def endless(record: bytes) -> bytes:
    return record + b" " * (1 << 20)


def of_another_evaluation(record: bytes) -> bytes:
    return record.replace(b"a" * 64, b"b" * 64)


def of_a_file_elsewhere(record: bytes) -> bytes:
    return json.dumps({**json.loads(record), "sha256": "../" * 20}).encode()


@pytest.mark.parametrize("spoil", [torn, no_text, endless, of_another_evaluation, of_a_file_elsewhere])
def test_a_damaged_record_is_reported_and_a_miss(
    root: Root, caplog: pytest.LogCaptureFixture, spoil: Callable[[bytes], bytes]
) -> None:
    path = f"{RECORD.folder}/record.json"
    root.replace(path, spoil(root.read(path)))
    assert found(root) == ("altered", None)
    (said,) = caplog.messages
    assert said.startswith("tiny: ")
    assert root.uri(RECORD.folder) in said
    assert said.endswith("; inferring again")


def test_missing_or_changed_predictions_are_reported_and_a_miss(root: Root, caplog: pytest.LogCaptureFixture) -> None:
    root.replace(RECORD.path, b"others")
    assert found(root) == ("altered", None)
    root.delete(RECORD.path)
    assert found(root) == ("altered", None)
    assert len(caplog.messages) == 2
    assert all(root.uri(RECORD.folder) in said for said in caplog.messages)


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT, errno.EMFILE])
def test_an_unreachable_store_is_neither_empty_nor_damaged(
    root: Root, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, number: int, is_old: bool
) -> None:
    """For a failed read of the record, of its date, and of the predictions."""
    if is_old:
        monkeypatch.setattr(evaluation_cache, "RENEW", timedelta(0))
    intact = Faults(None, number)
    with faulty_reads(root.url, intact):
        assert found(root) == ("cached", RECORD)
    assert intact.calls >= 3
    for position in range(intact.calls):
        with (
            faulty_reads(root.url, Faults(position, number)),
            pytest.raises((InputError, StoreUnreachableError), match=f"{root.url}[^\n]*$"),
        ):
            found(root)
    assert caplog.messages == []


def test_a_read_only_folder_is_not_damage(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hit rewrites an old record to mark its use."""

    def refuse(*_: object) -> None:
        raise InputError("results", "may not be written", "check its permissions")

    monkeypatch.setattr(evaluation_cache, "RENEW", timedelta(0))
    monkeypatch.setattr(type(root), "replace", refuse)
    with pytest.raises(InputError, match="may not be written"):
        found(root)


def refresh(root: Root, folder: Path) -> EvaluationRecord:
    """Another inference with other predictions."""
    (folder / "others").write_bytes(b"others")
    newer = RECORD.model_copy(update={"sha256": sha256_hex(b"others")})
    keep(root, newer, folder / "others")
    return newer


def dated(root: Root) -> None:
    keep_date(root, RECORD, "file", date(2030, 1, 1))


def renewed(root: Root) -> None:
    look_up(root, RECORD.folder, "tiny")


@pytest.mark.parametrize("use", [dated, renewed])
def test_a_use_does_not_undo_a_refresh_between_its_read_and_its_write(
    root: Root, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, use: Callable[[Root], None]
) -> None:
    monkeypatch.setattr(evaluation_cache, "RENEW", timedelta(0))
    read, refreshed = root.read_record, []

    def read_then_refresh(path: str, limit: int) -> bytes:
        data = read(path, limit)
        if not refreshed:
            refreshed.append(refresh(root, tmp_path))
        return data

    monkeypatch.setattr(root, "read_record", read_then_refresh)
    use(root)
    assert found(root) == ("cached", refreshed[0])


def test_dates_that_two_threads_add_are_both_kept(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    read, calls = root.read_record, []

    def read_then_date(path: str, limit: int) -> bytes:
        data = read(path, limit)
        calls.append(path)
        if len(calls) == 1:
            keep_date(root, RECORD, "second", date(2030, 1, 2))
        return data

    monkeypatch.setattr(root, "read_record", read_then_date)
    keep_date(root, RECORD, "first", date(2030, 1, 1))
    assert found(root) == (
        "cached",
        RECORD.model_copy(update={"dates": {"first": date(2030, 1, 1), "second": date(2030, 1, 2)}}),
    )
