"""The paths of a store.

blobs/sha256/<ab>/<hex>                      the files
models/<name>/manifests/<artifact_id>.json   written last; without it there is no artifact
models/<name>/aliases/<alias>.json           the current target of each alias
models/<name>/signatures/<artifact_id>.<fingerprint>.json    a signature, see `signatures.py`
"""

import re
from collections import defaultdict
from typing import NamedTuple

from nerbench.artifacts.manifest import ArtifactKey, FileEntry
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.paths import LOCK, is_leftover

BLOBS = "blobs"
MODELS = "models"
_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_MANIFEST = re.compile(rf"models/({_NAME})/manifests/([0-9a-f]{{64}})\.json")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{2})/\1[0-9a-f]{62}")
_ALIAS = re.compile(rf"models/({_NAME})/aliases/({_NAME})\.json")
_SIGNATURE = re.compile(rf"models/({_NAME})/signatures/([0-9a-f]{{64}})\.[0-9a-f]{{16}}\.json")
_FOLDER = re.compile(rf"blobs/sha256/[0-9a-f]{{2}}|models/{_NAME}/(manifests|aliases|signatures)")
_LIKE_OURS = re.compile(r"models/[^/]+/(?:manifests|aliases)/[^/]*\.json")


class Published(NamedTuple):
    """The listing of the folder `models`."""

    ids: dict[str, list[str]]
    """The artifact ids of every model, both sorted."""
    aliases: dict[str, list[str]]
    """The aliases of every name, both sorted. A name without artifacts may have aliases if its manifests were lost."""
    odd: list[str]
    """Paths in the folders of manifests and aliases whose names are impossible there."""


def blob_path(entry: FileEntry) -> str:
    """The path of a file, which several artifacts may share."""
    return f"{BLOBS}/sha256/{entry.sha256[:2]}/{entry.sha256}"


def manifest_path(key: ArtifactKey) -> str:
    """The path of an artifact's manifest."""
    return f"models/{key.name}/manifests/{key.artifact_id}.json"


def signature_path(key: ArtifactKey, fingerprint: str) -> str:
    """The path of the signature of an artifact by a key."""
    return f"models/{key.name}/signatures/{key.artifact_id}.{fingerprint}.json"


def signed_key(path: str) -> ArtifactKey | None:
    """The artifact whose signature has this path; None if it is not the path of a signature."""
    match = _SIGNATURE.fullmatch(path)
    return ArtifactKey(name=match[1], artifact_id=match[2]) if match else None


def signature_paths(root: Root, key: ArtifactKey) -> list[str]:
    """The paths of all signatures of an artifact."""
    paths = root.files(folder := f"models/{key.name}/signatures")
    return [path for path in paths if signed_key(path) and path.startswith(f"{folder}/{key.artifact_id}.")]


def kind_of(path: str) -> str | None:
    """The kind of object at this path: `blob`, `manifest`, `signature`, `alias`, `lock` or `unfinished write`; None if
    a store has no such path."""
    folder, _, name = path.rpartition("/")
    if _BLOB.fullmatch(path):
        return "blob"
    if _MANIFEST.fullmatch(path):
        return "manifest"
    if _SIGNATURE.fullmatch(path):
        return "signature"
    if _FOLDER.fullmatch(folder) and (name == LOCK or is_leftover(name)):
        return "lock" if name == LOCK else "unfinished write"
    return "alias" if _ALIAS.fullmatch(path) else None


def alias_path(name: str, alias: str) -> str:
    """The path of an alias."""
    return f"models/{name}/aliases/{alias}.json"


def alias_names(root: Root, name: str) -> list[str]:
    """The aliases of a model."""
    found = (_ALIAS.fullmatch(path) for path in root.files(f"models/{name}/aliases"))
    return [match[2] for match in found if match]


def published(root: Root) -> Published:
    """All paths in the folders of manifests and aliases."""
    ids, aliases, odd = defaultdict(list), defaultdict(list), []
    for path in root.files(MODELS, recursive=True):
        if match := _MANIFEST.fullmatch(path):
            ids[match[1]].append(match[2])
        elif match := _ALIAS.fullmatch(path):
            aliases[match[1]].append(match[2])
        elif _LIKE_OURS.fullmatch(path):
            odd.append(path)
    return Published(dict(sorted(ids.items())), dict(sorted(aliases.items())), odd)
