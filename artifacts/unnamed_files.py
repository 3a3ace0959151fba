"""Files without a name, for data that would take much memory. They disappear with the process, even after a crash."""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.local_copies import cache_folder
from nerbench.artifacts.storage.paths import no_room, room_for


@contextmanager
def unnamed_file() -> Iterator[IO[bytes]]:
    """A new file in the cache folder.

    Raises InputError if files cannot be created there, and NerbenchError if there is no room.
    """
    folder = cache_folder()
    try:
        with _created_in(folder) as file:
            yield file
    except OSError:
        with room_for(folder):
            raise


def _created_in(folder: Path) -> IO[bytes]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=folder)  # /tmp is in memory on many machines
    except OSError as error:
        if no_room(error):
            raise
        problem = f"cannot be written to ({error.strerror})"
        raise InputError(f"cache {folder}", problem, "name another folder in NERBENCH_CACHE") from error


def mapped(file: IO[bytes]) -> mmap.mmap:
    """The bytes of a file that is not empty; they can also be read after it is closed."""
    file.flush()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
