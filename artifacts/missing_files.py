"""Checks that all files of published artifacts are in place. Compares sizes only and reads no bytes."""

from collections.abc import Iterable
from typing import NamedTuple

from nerbench.artifacts.errors import DAMAGED
from nerbench.artifacts.manifest import ArtifactRef, FileEntry
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.store_layout import blob_path
from nerbench.artifacts.transfers import in_parallel


class _Blob(NamedTuple):
    """A stored file, which several artifacts may share."""

    store: str
    path: str


def find_incomplete(artifacts: Iterable[ArtifactRef]) -> dict[str, str]:
    """By artifact_id, what each incomplete artifact lacks. Folders are left out, because they were just digested.

    A file that several artifacts share, such as a tokenizer, is looked up once.
    """
    stored = [artifact for artifact in artifacts if artifact.store is not None]
    entries = list(zip(stored, in_parallel(_entries, stored), strict=True))
    stored_files = ((artifact.store or "", entry) for artifact, files in entries for entry in files)
    blobs = list({_Blob(store, blob_path(entry)) for store, entry in stored_files if not isinstance(entry, str)})
    sizes = dict(zip(blobs, in_parallel(_size, blobs), strict=True))
    problems = {
        artifact.artifact_id: "; ".join(filter(None, (_problem(artifact.store or "", one, sizes) for one in files)))
        for artifact, files in entries
    }
    return {artifact_id: problem for artifact_id, problem in problems.items() if problem}


def _entries(artifact: ArtifactRef) -> tuple[FileEntry | str, ...]:
    """The files of an artifact, or the reason why they are unknown."""
    try:
        return Store(artifact.store or "").manifest(artifact).files
    except DAMAGED as error:
        return (str(error),)


def _size(blob: _Blob) -> int | None:
    try:
        return open_root(blob.store).size(blob.path)
    except FileNotFoundError:
        return None


def _problem(store: str, entry: FileEntry | str, sizes: dict[_Blob, int | None]) -> str | None:
    if isinstance(entry, str):
        return entry
    size, uri = sizes[_Blob(store, blob_path(entry))], open_root(store).uri(blob_path(entry))
    if size is None:
        return f"{entry.path} is missing: {uri}"
    return None if size == entry.size else f"{entry.path} has {size} bytes instead of {entry.size}: {uri}"
