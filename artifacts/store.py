"""A store of published models at any URL: blobs by digest, one manifest an artifact, aliases that move.

blobs/sha256/<ab>/<hex>                      the files
models/<name>/manifests/<artifact_id>.json   written last; without it there is no artifact
models/<name>/aliases/<alias>.json           {"artifact_id", "updated_at"}
"""

import json
import logging
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from artifacts import cache
from artifacts.digests import canonical_json, sha256_hex
from artifacts.errors import ArtifactNotFoundError, CorruptArtifactError, InputError, UnsafeArtifactError
from artifacts.filesystem import Root
from artifacts.folder import describe_folder
from artifacts.manifest import ArtifactKey, ArtifactName, ArtifactRef, FileEntry, Manifest, Provenance, Record

LATEST = "latest"
_MANIFEST = re.compile(r"models/([A-Za-z0-9][A-Za-z0-9._-]*)/manifests/([0-9a-f]{64})\.json")
_NAME: TypeAdapter[str] = TypeAdapter(ArtifactName)
_DAMAGED = (ArtifactNotFoundError, CorruptArtifactError, UnsafeArtifactError)
_logger = logging.getLogger(__name__)


class ArtifactSummary(ArtifactKey):
    """One line of a listing."""

    created_at: AwareDatetime | None
    """When it was published."""
    aliases: tuple[str, ...]
    """Those that point to it now."""
    bytes: int
    """Of all its files."""
    labels: tuple[str, ...]
    """The tags the model can give."""
    uri: str
    """Where its manifest is."""


class Verification(Record):
    """What was found when every stored byte of an artifact was read again."""

    artifact_id: str
    """The sha256 its manifest should have."""
    ok: bool
    """Whether there are no problems."""
    files: int
    """How many were read, the manifest not counted."""
    problems: tuple[str, ...]
    """One line each, naming the file."""


class Store:
    """Published models. They never change; aliases move."""

    def __init__(self, url: str) -> None:
        self._root = Root.open(url)
        self.url = self._root.url

    def publish(self, folder: Path, name: str, provenance: Provenance) -> ArtifactRef:
        """Store a folder that `save_pretrained` made and let `latest` point to it; dated now unless it has a date.

        Raises InputError and UnsafeArtifactError for what cannot be published (see `describe_folder`).
        """
        _check_name("name", name)
        if provenance.created_at is None:
            provenance = provenance.model_copy(update={"created_at": datetime.now(UTC)})
        manifest = describe_folder(folder, name, provenance)
        for entry in manifest.files:
            self._upload(folder / entry.path, entry)
        key = ArtifactKey(name=name, artifact_id=manifest.artifact_id)
        try:
            self._root.create(_manifest_path(key), manifest.to_bytes())
        except FileExistsError:
            self.manifest(key)  # the same artifact, published before: it must be intact
        self.set_alias(name, LATEST, key.artifact_id)
        return self._ref(manifest)

    def ref(self, key: ArtifactKey) -> ArtifactRef:
        """The reference of a published artifact. Raises like `manifest`."""
        return self._ref(self.manifest(key))

    def manifest(self, key: ArtifactKey) -> Manifest:
        """An artifact's manifest, whose bytes have the digest that names it.

        Raises ArtifactNotFoundError, CorruptArtifactError where they differ, UnsafeArtifactError.
        """
        path = _manifest_path(key)
        try:
            data = self._root.read(path)
        except FileNotFoundError:
            field = f"artifact {key.name}@sha256:{key.artifact_id}"
            raise ArtifactNotFoundError(
                field, f"is not in the store {self.url}", "see `nerbench artifacts ls`"
            ) from None
        if sha256_hex(data) != key.artifact_id:
            raise CorruptArtifactError(f"{key.name}: the manifest {self._root.uri(path)} does not have its digest")
        manifest = Manifest.from_bytes(data)
        if manifest.name != key.name:
            raise CorruptArtifactError(f"{key.name}: {self._root.uri(path)} is the manifest of {manifest.name}")
        return manifest

    def keys(self) -> dict[str, list[str]]:
        """The artifact ids of every model, both sorted."""
        found: dict[str, list[str]] = defaultdict(list)
        for path in self._root.files("models", recursive=True):
            if match := _MANIFEST.fullmatch(path):
                found[match[1]].append(match[2])
        return dict(sorted(found.items()))

    def names(self) -> list[str]:
        """The models that have an artifact."""
        return list(self.keys())

    def list(self) -> list[ArtifactSummary]:
        """All artifacts, the newest first. One whose manifest cannot be trusted is left out with a warning."""
        found = []
        for name, ids in self.keys().items():
            aliases = self.aliases(name)
            for artifact_id in ids:
                key = ArtifactKey(name=name, artifact_id=artifact_id)
                try:
                    found.append(self._summary(key, tuple(a for a, target in aliases.items() if target == artifact_id)))
                except _DAMAGED as error:
                    _logger.warning("left out of the listing: %s", error)
        undated = datetime.min.replace(tzinfo=UTC)
        return sorted(found, key=lambda summary: summary.created_at or undated, reverse=True)

    def aliases(self, name: str) -> dict[str, str]:
        """The aliases of a model and the artifact ids they point to. Raises CorruptArtifactError."""
        _check_name("name", name)
        found = {}
        for path in self._root.files(f"models/{name}/aliases"):
            try:
                key = ArtifactKey(name=name, artifact_id=json.loads(self._root.read(path))["artifact_id"])
            except (ValueError, TypeError, KeyError):
                raise CorruptArtifactError(f"{name}: the alias {self._root.uri(path)} names no artifact") from None
            found[Path(path).stem] = key.artifact_id
        return found

    def set_alias(self, name: str, alias: str, artifact_id: str) -> None:
        """Let an alias point to a published artifact; of two writers at once the last wins. Raises like `manifest`."""
        _check_name("alias", alias)
        self.manifest(ArtifactKey(name=name, artifact_id=artifact_id))
        record = {"artifact_id": artifact_id, "updated_at": datetime.now(UTC).isoformat()}
        self._root.replace(f"models/{name}/aliases/{alias}.json", canonical_json(record))

    def verify(self, key: ArtifactKey) -> Verification:
        """Read every byte of an artifact where it is stored, never a local copy, and compare digests."""
        try:
            files = self.manifest(key).files
            problems = [problem for entry in files if (problem := self._problem(entry))]
        except _DAMAGED as error:
            files, problems = (), [str(error)]
        return Verification(artifact_id=key.artifact_id, ok=not problems, files=len(files), problems=tuple(problems))

    def materialise(self, key: ArtifactKey) -> Path:
        """A verified local folder to load the model from, in the cache. Raises like `manifest`."""
        return cache.materialise(self.manifest(key), self._fetch)

    def pull(self, key: ArtifactKey, folder: Path) -> None:
        """Write the files and `manifest.json` to a new or empty folder. Raises like `manifest`, and InputError."""
        cache.export(self.manifest(key), self._fetch, folder)

    def _ref(self, manifest: Manifest) -> ArtifactRef:
        key = ArtifactKey(name=manifest.name, artifact_id=manifest.artifact_id)
        return ArtifactRef(
            name=key.name,
            artifact_id=key.artifact_id,
            model_sha256=manifest.model_sha256,
            uri=self._root.uri(_manifest_path(key)),
            labels=manifest.labels,
            store=self.url,
        )

    def _summary(self, key: ArtifactKey, aliases: tuple[str, ...]) -> ArtifactSummary:
        manifest = self.manifest(key)
        return ArtifactSummary(
            name=key.name,
            artifact_id=key.artifact_id,
            created_at=manifest.provenance.created_at,
            aliases=aliases,
            bytes=manifest.total_bytes,
            labels=manifest.labels,
            uri=self._root.uri(_manifest_path(key)),
        )

    def _upload(self, local: Path, entry: FileEntry) -> None:
        self._root.upload(local, _blob_path(entry), entry.sha256)

    def _fetch(self, entry: FileEntry, target: Path) -> str:
        try:
            return self._root.download(_blob_path(entry), target)
        except FileNotFoundError:
            raise CorruptArtifactError(f"{entry.path} is missing: {self._root.uri(_blob_path(entry))}") from None

    def _problem(self, entry: FileEntry) -> str | None:
        try:
            found = self._root.sha256(_blob_path(entry))
        except FileNotFoundError:
            return f"{entry.path}: missing"
        return None if found == entry.sha256 else f"{entry.path}: has sha256 {found} instead of {entry.sha256}"


def _manifest_path(key: ArtifactKey) -> str:
    return f"models/{key.name}/manifests/{key.artifact_id}.json"


def _blob_path(entry: FileEntry) -> str:
    return f"blobs/sha256/{entry.sha256[:2]}/{entry.sha256}"


def _check_name(field: str, name: str) -> None:
    try:
        _NAME.validate_python(name)
    except ValidationError:
        remedy = "use at most 96 letters, digits, `.`, `_` and `-`, the first a letter or digit"
        raise InputError(f"{field} {name!r}", "cannot be used", remedy) from None
