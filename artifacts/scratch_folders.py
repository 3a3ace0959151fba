"""Temporary folders for predictions, ONNX graphs and other large files.

A process that is killed cannot remove its folder, so the next process of the machine that needs one removes it. The
lock on a folder shows that its process still runs. Some network file systems hide locks from other machines, so names
contain the machine.
"""

import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = f"nerbench-scratch-{platform.node()}-"
_NAME = re.compile(rf"{re.escape(_PREFIX)}[a-z0-9_]{{8}}")
_YOUNG_S = 60.0
"""Age in seconds from which a folder without a lock is abandoned; a younger one may not be locked yet."""


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A new folder, which is removed at the end. The folders of killed processes are removed first.

    `parent`: where to make it; None is the temporary folder of the system.
    """
    import fcntl  # which Windows lacks

    with suppress(OSError):  # a folder that this user may not list
        _remove_abandoned(parent or Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=parent) as name:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            with suppress(OSError):  # without locks on this file system, the folder is removed only at the end
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield Path(name)
        finally:
            os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for path in parent.iterdir():
        if _NAME.fullmatch(path.name):
            with suppress(OSError):  # removed by another process, a link, or another user's
                _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if found.st_uid == os.getuid() and time.time() - found.st_mtime > _YOUNG_S:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
    finally:
        os.close(descriptor)
