"""Data that may take much memory: in memory while it is small, otherwise in a file without a name.

Such files disappear with the process, even after a crash. Each of them takes a descriptor while its bytes are used, and
the descriptors of a process are limited, so small data has no file.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.local_copies import cache_folder
from nerbench.artifacts.storage.paths import no_room, room_for

IN_MEMORY = 1 << 22
"""Largest number of bytes that stay in memory: about 400,000 words, or their tags."""


class UnnamedFile(SpooledTemporaryFile[bytes]):
    """A file in memory, which moves to a folder when it becomes large."""

    is_on_disk = False

    def __init__(self, folder: Path, max_size: int) -> None:
        super().__init__(max_size, dir=str(folder))  # /tmp is in memory on many machines
        self._folder = folder

    def rollover(self) -> None:
        """Move to the folder. Raises InputError if files cannot be created there."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            super().rollover()
        except OSError as error:
            if no_room(error):
                raise
            problem = f"cannot be written to ({error.strerror})"
            raise InputError(f"cache {self._folder}", problem, "name another folder in NERBENCH_CACHE") from error
        self.is_on_disk = True


@contextmanager
def unnamed_file(in_memory: int | None = None) -> Iterator[UnnamedFile]:
    """A new file, which moves to the cache folder when it exceeds `in_memory` bytes, by default IN_MEMORY.

    Raises InputError if files cannot be created there, and NerbenchError if there is no room.
    """
    folder = cache_folder()
    try:
        with UnnamedFile(folder, IN_MEMORY if in_memory is None else in_memory) as file:
            yield file
    except OSError:  # also from the end of `with`, which writes what is buffered
        with room_for(folder):
            raise


def mapped(file: UnnamedFile, access: int = mmap.ACCESS_READ) -> mmap.mmap | bytes:
    """The bytes of a file; they can also be read after it is closed. Those of a large file are mapped."""
    if file.is_on_disk:
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=access)
    file.seek(0)
    return file.read()
