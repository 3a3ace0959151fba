"""Temporary folders are removed at the end, also after an error; those of a killed process, by the next one."""

import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nerbench.artifacts.scratch_folders import scratch_folder

HOLD = """
import sys
from pathlib import Path
from nerbench.artifacts.scratch_folders import scratch_folder
with scratch_folder(*map(Path, sys.argv[1:])) as folder:
    (folder / "graph.onnx").write_text("large")
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def aged(folder: Path) -> Path:
    past = time.time() - 3600
    os.utime(folder, (past, past))
    return folder


@pytest.mark.parametrize("error", [None, ValueError()])
def test_a_folder_is_removed_at_the_end(parent: Path, error: Exception | None) -> None:
    try:
        with scratch_folder() as folder:
            (folder / "file").write_text("x")
            assert [*parent.iterdir()] == [folder]
            if error:
                raise error
    except ValueError:
        pass
    assert [*parent.iterdir()] == []


@pytest.mark.parametrize("named", [False, True])
def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_live_one_stays(parent: Path, named: bool) -> None:
    chosen = [parent / "cache"] if named else []
    for folder in chosen:
        folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *chosen], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        theirs = aged(Path(process.stdout.readline().strip()))
        with scratch_folder(*chosen):
            assert (theirs / "graph.onnx").exists()
        process.send_signal(signal.SIGKILL)
    assert theirs.exists()
    with scratch_folder(*chosen) as ours:
        assert [*ours.parent.iterdir()] == [ours]


def test_what_may_not_be_abandoned_stays(parent: Path) -> None:
    ours = f"nerbench-scratch-{platform.node()}"
    young = parent / f"{ours}-abcdefg1"
    other = parent / f"{ours}-of-mine"
    of_machine = parent / "nerbench-scratch-another.machine-abcdefg1"  # its locks may be invisible here
    target = parent / "target"
    for folder in (young, other, of_machine, target):
        folder.mkdir()
    for folder in (other, of_machine, target):
        aged(folder)
    link = parent / f"{ours}-abcdefg2"
    link.symlink_to(target)
    file = parent / f"{ours}-abcdefg3"
    file.write_text("x")
    with scratch_folder():
        pass
    assert {*parent.iterdir()} == {young, other, of_machine, target, link, file}


def test_a_parent_that_may_not_be_listed_is_no_obstacle(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On some shared machines, users may create files in /tmp but not list it."""

    def refuse(path: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", refuse)
        with scratch_folder() as folder:
            (folder / "file").write_text("x")
    assert [*parent.iterdir()] == []


def test_all_large_temporary_folders_are_scratch_folders() -> None:
    """Others stay after SIGKILL."""
    root = Path(__file__).parents[2]
    modules = [path for part in ("artifacts", "tasks", "flows", "nerbench") for path in (root / part).rglob("*.py")]
    making = {path.name for path in modules if re.search(r"TemporaryDirectory\(|mkdtemp\(", path.read_text())}
    assert making == {"scratch_folders.py", "local.py"}  # the latter's holds one empty lock for a moment
