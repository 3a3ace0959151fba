"""Local folders listed as they are: whatever cannot be listed raises, and only what does not exist is empty.

`os.walk` passes over folders that it cannot read and takes folders that it cannot stat for files; neither happens here.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

_Identity = tuple[int, int]


def walk(
    folder: str | Path, *, recursive: bool, follow: bool, above: frozenset[_Identity] = frozenset()
) -> Iterator["os.DirEntry[str]"]:
    """All entries of a folder that are not folders; with `recursive`, those of its folders too.

    With `follow`, a link to a folder counts as that folder, unless it leads back to one that is being listed.
    Without, it is an entry like every other link. Raises OSError for what cannot be listed.
    """
    try:
        status = os.stat(folder)  # noqa: PTH116 - of an entry, and of a path
        with os.scandir(folder) as listing:
            entries = list(listing)
    except FileNotFoundError:
        return
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    for entry in entries:
        if not _is_folder(entry, follow):
            yield entry
        elif recursive:
            yield from walk(entry.path, recursive=True, follow=follow, above=above | {identity})


def _is_folder(entry: "os.DirEntry[str]", follow: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself
            return False
        raise
