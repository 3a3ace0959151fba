"""Where a store keeps what.

blobs/sha256/<ab>/<hex>                      the files
models/<name>/manifests/<artifact_id>.json   written last; without it there is no artifact
models/<name>/aliases/<alias>.json           what each alias means now
"""

import re
from collections import defaultdict

from artifacts.manifest import ArtifactKey, FileEntry
from artifacts.storage.filesystem import Root
from artifacts.storage.paths import LOCK, is_leftover

BLOBS = "blobs"
MODELS = "models"
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_MANIFEST = re.compile(rf"models/({_NAME})/manifests/([0-9a-f]{{64}})\.json")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{2})/\1[0-9a-f]{62}")
_ALIAS = re.compile(rf"models/{_NAME}/aliases/{_NAME}\.json")
_FOLDER = re.compile(rf"blobs/sha256/[0-9a-f]{{2}}|models/{_NAME}/(manifests|aliases)")


def blob_path(entry: FileEntry) -> str:
    """Where a file is, whichever artifacts it belongs to."""
    return f"{BLOBS}/sha256/{entry.sha256[:2]}/{entry.sha256}"


def manifest_path(key: ArtifactKey) -> str:
    """Where an artifact's manifest is."""
    return f"models/{key.name}/manifests/{key.artifact_id}.json"


def kind_of(path: str) -> str | None:
    """What a store keeps at this path: `blob`, `manifest`, `alias`, `lock` or `unfinished write`; None: nothing."""
    folder, _, name = path.rpartition("/")
    if _BLOB.fullmatch(path):
        return "blob"
    if _MANIFEST.fullmatch(path):
        return "manifest"
    if _FOLDER.fullmatch(folder) and (name == LOCK or is_leftover(name)):
        return "lock" if name == LOCK else "unfinished write"
    return "alias" if _ALIAS.fullmatch(path) else None


def published(root: Root) -> dict[str, list[str]]:
    """The artifact ids of every model, both sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in root.files(MODELS, recursive=True):
        if match := _MANIFEST.fullmatch(path):
            found[match[1]].append(match[2])
    return dict(sorted(found.items()))
