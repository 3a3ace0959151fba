"""Small data stays in memory. Large data is on disk without a name: it is gone after a crash, stays readable while it
is used, and needs room."""

from mmap import mmap
from pathlib import Path
from typing import IO, Any

import pytest
from psutil import Process

from nerbench.artifacts.errors import InputError, NerbenchError
from nerbench.artifacts.unnamed_files import IN_MEMORY, mapped, unnamed_file


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_small_data_takes_no_file_and_no_descriptor(cache: Path) -> None:
    before = Process().num_fds()
    with unnamed_file() as file:
        file.write(b"x" * IN_MEMORY)
        data = mapped(file)
        assert Process().num_fds() == before
    assert data == b"x" * IN_MEMORY
    assert not cache.exists()


def test_a_large_file_has_no_name_and_its_bytes_outlive_it(cache: Path) -> None:
    with unnamed_file(9) as file:
        file.write(b"some")
        file.write(b" bytes")
        data = mapped(file)
        assert list(cache.iterdir()) == []
    assert data[5:] == b"bytes"
    assert isinstance(data, mmap)


def test_an_error_leaves_no_file_and_no_descriptor(cache: Path) -> None:
    def fail() -> None:
        with unnamed_file(1) as file:
            file.write(b"some")
            raise ValueError("half")

    before = Process().num_fds()
    with pytest.raises(ValueError, match="half"):
        fail()
    assert Process().num_fds() == before
    assert list(cache.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("buffering", [0, 1 << 16])
def test_a_full_disk_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch, buffering: int) -> None:
    """Closing a file with buffered bytes fails once more."""

    def full(**options: Any) -> IO[bytes]:
        return Path("/dev/full").open("wb", buffering=buffering)

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with (
        pytest.raises(NerbenchError, match=r"cache cannot be written: No space left on device"),
        unnamed_file(1) as file,
    ):
        file.write(b"12")


@pytest.mark.parametrize("error", [ValueError("iostream error"), FileNotFoundError(2, "No such file", "other")])
def test_other_errors_do_not_change(cache: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as raised, unnamed_file():
        raise error
    assert raised.value is error


def test_a_cache_that_is_not_a_folder_is_refused_in_one_line(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(InputError, match=r"cannot be written to \(.*\); name another folder"), unnamed_file(1) as file:
        file.write(b"12")
