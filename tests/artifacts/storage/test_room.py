"""A full disk is the same error, whichever library reports it."""

import errno
from pathlib import Path

import pytest

from nerbench.artifacts.errors import InputError, NerbenchError
from nerbench.artifacts.storage import paths
from nerbench.artifacts.storage.paths import locked, room_for, write_whole

NO_ROOM = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    OSError(errno.EFBIG, "File too large"),
    # The messages of torch, safetensors and Arrow.
    RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 68544 vs 68432"),
    RuntimeError("basic_ios::clear: iostream error"),
    OSError(errno.ENOSPC, "Error writing bytes to file. Detail: [errno 28] No space left on device"),
]
OTHERS = [OSError(errno.EIO, "Input/output error"), RuntimeError("(os error 2)"), ValueError("no space")]


@pytest.mark.parametrize("error", NO_ROOM, ids=str)
def test_the_error_names_place_and_remedy(error: Exception, tmp_path: Path) -> None:
    said = f"^{tmp_path} cannot be written: .*; make room on that disk"
    with pytest.raises(NerbenchError, match=said) as progress, room_for(tmp_path):
        raise error
    assert progress.value.exit_status == 1
    assert "\n" not in str(progress.value)
    assert progress.value.__cause__ is error


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_are_not_changed(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as progress, room_for(tmp_path):
        raise error
    assert progress.value is error


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, NerbenchError), (errno.EACCES, InputError)])
def test_a_file_that_cannot_be_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[NerbenchError]
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, "refused")

    monkeypatch.setattr(paths.os, "open", refuse)
    with pytest.raises(NerbenchError) as progress:
        write_whole(tmp_path / "a", [b"1"])
    assert type(progress.value) is kind
    with pytest.raises(NerbenchError) as progress, locked(tmp_path):
        pass
    assert type(progress.value) is kind
