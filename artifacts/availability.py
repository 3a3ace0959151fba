"""Checks that all files of published artifacts are in place. Compares sizes only and reads no bytes."""

from collections.abc import Iterable

from nerbench.artifacts.errors import DAMAGED
from nerbench.artifacts.manifest import ArtifactRef, FileEntry
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.store_layout import blob_path
from nerbench.artifacts.tables.table_files import in_parallel


def find_incomplete(artifacts: Iterable[ArtifactRef]) -> dict[str, str]:
    """By artifact_id, what each incomplete artifact lacks. Folders are left out, because they were just digested."""
    stored = [artifact for artifact in artifacts if artifact.store is not None]
    problems = zip(stored, in_parallel(_problem, stored), strict=True)
    return {artifact.artifact_id: problem for artifact, problem in problems if problem}


def _problem(artifact: ArtifactRef) -> str | None:
    store = open_root(artifact.store or "")
    try:
        files = Store(store.url).manifest(artifact).files
    except DAMAGED as error:
        return str(error)
    return "; ".join(problem for entry in files if (problem := _missing(store, entry))) or None


def _missing(store: Root, entry: FileEntry) -> str | None:
    try:
        size = store.size(blob_path(entry))
    except FileNotFoundError:
        return f"{entry.path} is missing: {store.uri(blob_path(entry))}"
    if size != entry.size:
        return f"{entry.path} has {size} bytes instead of {entry.size}: {store.uri(blob_path(entry))}"
    return None
