"""Damages files in a store."""

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.store import Store


def blob(ref: ArtifactRef, store: Store, file: str) -> str:
    """The path of an artifact's file in the store."""
    digest = next(entry.sha256 for entry in store.manifest(ref).files if entry.path == file)
    return f"blobs/sha256/{digest[:2]}/{digest}"


def flip(root: Root, path: str) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(root.read(path))
    data[len(data) // 2] ^= 1
    root.replace(path, bytes(data))
