"""Where a store keeps what.

blobs/sha256/<ab>/<hex>                      the files
models/<name>/manifests/<artifact_id>.json   written last; without it there is no artifact
models/<name>/aliases/<alias>.json           what each alias means now
"""

import re
from collections import defaultdict

from artifacts.manifest import ArtifactKey, FileEntry
from artifacts.storage.filesystem import Root

BLOBS = "blobs"
_MANIFEST = re.compile(r"models/([A-Za-z0-9][A-Za-z0-9._-]*)/manifests/([0-9a-f]{64})\.json")


def blob_path(entry: FileEntry) -> str:
    """Where a file is, whichever artifacts it belongs to."""
    return f"{BLOBS}/sha256/{entry.sha256[:2]}/{entry.sha256}"


def manifest_path(key: ArtifactKey) -> str:
    """Where an artifact's manifest is."""
    return f"models/{key.name}/manifests/{key.artifact_id}.json"


def published(root: Root) -> dict[str, list[str]]:
    """The artifact ids of every model, both sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in root.files("models", recursive=True):
        if match := _MANIFEST.fullmatch(path):
            found[match[1]].append(match[2])
    return dict(sorted(found.items()))
