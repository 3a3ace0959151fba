"""The lineage of a model: the model, its base, the base of that, and so on, as far as a store knows."""

from typing import NamedTuple

from nerbench.artifacts.errors import ArtifactNotFoundError, CorruptArtifactError, UnsafeArtifactError
from nerbench.artifacts.manifest import ArtifactKey, ArtifactRef, Manifest
from nerbench.artifacts.references import load_manifest
from nerbench.artifacts.store import Store

_LONGEST = 50


class Generation(NamedTuple):
    """One model of a lineage."""

    name: str
    """The published name; at the end of a lineage, the name of the base."""
    artifact_id: str | None
    """None for a base that is not in the store."""
    manifest: Manifest | None
    revision: str | None = None
    """The commit of a base on the Hub."""


def lineage(ref: ArtifactRef, store_url: str) -> list[Generation]:
    """A model and its ancestors, youngest first. Raises like `load_manifest`.

    A base is identified among the store's artifacts by the digest of its files.
    """
    manifest = load_manifest(ref)
    found = [Generation(ref.name, ref.artifact_id, manifest)]
    known = _by_model(Store(ref.store or store_url)) if manifest.provenance.base_model else {}
    while len(found) < _LONGEST and manifest and (base := manifest.provenance.base_model):
        parent = known.get(base.sha256 or "")
        if parent is None or parent.artifact_id in {one.artifact_id for one in found}:
            return [*found, Generation(base.name, None, None, base.revision)]
        found.append(Generation(parent.name, parent.artifact_id, parent))
        manifest = parent
    return found


def _by_model(store: Store) -> dict[str, Manifest]:
    """The oldest readable manifest of every model of a store, by `model_sha256`."""
    found: dict[str, Manifest] = {}
    for summary in store.list():  # the newest first
        try:
            manifest = store.manifest(ArtifactKey(name=summary.name, artifact_id=summary.artifact_id))
        except (ArtifactNotFoundError, CorruptArtifactError, UnsafeArtifactError):  # not one that just cannot be read
            continue
        found[manifest.model_sha256] = manifest
    return found
