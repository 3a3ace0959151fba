"""A store of published models at any URL: blobs by digest, one manifest for each artifact, and aliases that move."""

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from nerbench.artifacts import local_copies, signatures
from nerbench.artifacts.aliases import Expected, find_alias, move_alias, read_alias, read_aliases
from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import (
    DAMAGED,
    ArtifactNotFoundError,
    ConflictError,
    CorruptArtifactError,
    InputError,
    report_or_warn,
)
from nerbench.artifacts.manifest import (
    MAX_MANIFEST_BYTES,
    ArtifactKey,
    ArtifactName,
    ArtifactRef,
    FileEntry,
    Golden,
    Kind,
    Manifest,
    Provenance,
    Record,
)
from nerbench.artifacts.memoized_reads import once
from nerbench.artifacts.model_folder import describe_folder
from nerbench.artifacts.storage.filesystem import ProgressCallback
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.paths import no_room
from nerbench.artifacts.store_layout import Published, alias_path, blob_path, manifest_path, published
from nerbench.artifacts.transfers import transfer


class ArtifactSummary(ArtifactKey):
    """One line of a listing."""

    created_at: AwareDatetime | None
    """When it was published."""
    aliases: tuple[str, ...]
    """The aliases that point to it now."""
    bytes: int
    """The total size of its files."""
    labels: tuple[str, ...]
    """The tags the model can give."""
    uri: str
    """Where its manifest is."""
    kind: Kind = "model"
    """The kind of artifact."""


class Verification(Record):
    """The result of reading every stored byte of an artifact again."""

    artifact_id: str
    """The sha256 its manifest should have."""
    ok: bool
    """Whether there are no problems."""
    files: int
    """How many were read, the manifest not counted."""
    problems: tuple[str, ...]
    """One line each, naming the file."""


LATEST = "latest"
_TOLERANCE = timedelta(minutes=1)
"""A date of a store this far ahead of its time now is no sign of a wrong clock: dates are rounded."""
_NAME: TypeAdapter[str] = TypeAdapter(ArtifactName)
_logger = logging.getLogger(__name__)
T = TypeVar("T")


class Store:
    """Published models. They never change; aliases move.

    >>> import nerbench
    >>> nerbench.Store("./var/artifacts").names()
    ['tiny-bert', 'tiny-bert-1layer']
    """

    def __init__(self, url: str) -> None:
        self._root = open_root(url)
        self.url = self._root.url

    def publish(self, folder: Path, name: str, provenance: Provenance, golden: Golden | None = None) -> ArtifactRef:
        """Store a folder that `save_pretrained` wrote, with the current time unless `provenance` has one.

        `latest` then points to it, unless the store dates its target later, which is logged. The next publication
        completes an interrupted one. Raises InputError and UnsafeArtifactError for a folder that cannot be published
        (see `describe_folder`).
        """
        check_name("name", name)
        return self._publish(describe_folder(folder, name, _dated(provenance), golden), folder)

    def publish_weightless(self, manifest: Manifest, folder: Path | None = None) -> ArtifactRef:
        """Store the manifest of a tagger, or that of imported predictions with their file in `folder`.

        Everything else is as for a model: see `publish`.
        """
        check_name("name", manifest.name)
        if manifest.kind == "model" or (folder is None and manifest.files):
            raise ValueError(f"{manifest.name} is a {manifest.kind}, and its folder is {folder}")
        dated = manifest.model_copy(update={"provenance": _dated(manifest.provenance)})
        return self._publish(dated, folder or Path())

    def adopt(self, manifest: Manifest) -> bool:
        """Publish an artifact of another store, whose files this store has; returns False if it has the artifact.

        No alias moves. Raises CorruptArtifactError if a file is missing or has another size.
        """
        for entry in manifest.files:
            if self._stored(entry, self._root.size) != entry.size:
                raise CorruptArtifactError(f"{manifest.name}: {entry.path} does not have {entry.size} bytes")
        key = ArtifactKey(name=manifest.name, artifact_id=manifest.artifact_id)
        if self._root.exists(manifest_path(key)):
            self.manifest(key)  # it must be intact
            return False
        with suppress(FileExistsError):
            self._root.create(manifest_path(key), manifest.to_bytes())
        return True

    def _publish(self, manifest: Manifest, folder: Path) -> ArtifactRef:
        self._upload(folder, manifest)
        key = ArtifactKey(name=manifest.name, artifact_id=manifest.artifact_id)
        try:
            self._root.create(manifest_path(key), manifest.to_bytes())
        except FileExistsError:
            self.manifest(key)  # the same artifact, published before: it must be intact
        # Garbage collection keeps the files of a manifest, but may have removed an old blob just before it was written.
        if not all(self._root.exists(blob_path(entry)) for entry in manifest.files):
            self._upload(folder, manifest)
        move_alias(self._root, key.name, LATEST, key.artifact_id, lambda now: self._is_newer(key, now))
        return self._ref(manifest)

    def ref(self, key: ArtifactKey) -> ArtifactRef:
        """The reference of a published artifact. Raises like `manifest`."""
        return self._ref(self.manifest(key))

    def manifest(self, key: ArtifactKey) -> Manifest:
        """An artifact's manifest, whose bytes have the digest that names it.

        Raises ArtifactNotFoundError, CorruptArtifactError if they differ, UnsafeArtifactError.
        """
        return once("manifest", (self.url, key.name, key.artifact_id), lambda: self._read_manifest(key))

    def _read_manifest(self, key: ArtifactKey) -> Manifest:
        path = manifest_path(key)
        try:
            data = self._root.read_record(path, MAX_MANIFEST_BYTES)
        except FileNotFoundError:
            field = f"artifact {key.name}@sha256:{key.artifact_id}"
            raise ArtifactNotFoundError(
                field, f"is not in the store {self.url}", "see `nerbench artifacts ls`"
            ) from None
        except OSError as error:
            problem = f"the manifest {self._root.uri(path)} cannot be read ({error.strerror})"
            raise CorruptArtifactError(f"{key.name}: {problem}") from error
        if sha256_hex(data) != key.artifact_id:
            raise CorruptArtifactError(f"{key.name}: the manifest {self._root.uri(path)} does not have its digest")
        manifest = Manifest.from_bytes(data)
        if manifest.name != key.name:
            raise CorruptArtifactError(f"{key.name}: {self._root.uri(path)} is the manifest of {manifest.name}")
        return manifest

    def keys(self) -> dict[str, list[str]]:
        """The artifact ids of every model, both sorted."""
        return self.published().ids

    def published(self) -> Published:
        """A listing of the folder of manifests and aliases, without their content."""
        return published(self._root)

    def names(self) -> list[str]:
        """The names of all models with an artifact."""
        return list(self.keys())

    def list(self) -> list[ArtifactSummary]:
        """All artifacts, the newest first.

        A manifest or alias that cannot be trusted is left out and reported: see `nerbench.artifacts.errors`.
        """
        found, (models, aliases_of, odd) = [], self.published()
        for path in odd:
            report_or_warn(self._root.url + "/" + path, "is not a name of a manifest or an alias")
        for name in sorted({*models, *aliases_of}):
            ids = models.get(name, [])
            aliases = self._sound_aliases(name, aliases_of.get(name, ()), ids)
            for artifact_id in ids:
                key = ArtifactKey(name=name, artifact_id=artifact_id)
                try:
                    found.append(self._summary(key, tuple(a for a, target in aliases.items() if target == artifact_id)))
                except DAMAGED as error:
                    report_or_warn(self._root.uri(manifest_path(key)), error)
        undated = datetime.min.replace(tzinfo=UTC)
        return sorted(found, key=lambda summary: summary.created_at or undated, reverse=True)

    def aliases(self, name: str) -> dict[str, str]:
        """The aliases of a model and the artifact ids they point to. Raises CorruptArtifactError."""
        check_name("name", name)
        return read_aliases(self._root, name)

    def find_target(self, name: str, alias: str) -> str | None:
        """The artifact id that an alias points to; None if there is no such alias. Raises CorruptArtifactError.

        This does not list the store, which can have many models.
        """
        return find_alias(self._root, name, alias) if is_name(name) and is_name(alias) else None

    def target(self, name: str, alias: str) -> str:
        """The artifact id that an alias points to, without reading other aliases. Raises CorruptArtifactError."""
        return read_alias(self._root, name, alias)

    def _sound_aliases(self, name: str, aliases: Iterable[str], ids: Collection[str]) -> dict[str, str]:
        """The aliases that point to one of the artifacts; the others are reported."""
        found = {}
        for alias in aliases:
            where = self._root.uri(alias_path(name, alias))
            try:
                target = read_alias(self._root, name, alias)
            except DAMAGED as error:
                report_or_warn(where, error)
                continue
            if target in ids:
                found[alias] = target
            else:
                report_or_warn(where, f"{name}@{alias} points to sha256:{target[:12]}, which the store does not hold")
        return found

    def set_alias(
        self, name: str, alias: str, artifact_id: str, *, expected: str | Expected = Expected.ANYTHING
    ) -> None:
        """Point an alias to a published artifact. Of two concurrent writers, the last one wins.

        With `expected`, only if it points to that artifact id until then: ConflictError otherwise. Raises like
        `manifest`.
        """
        check_name("alias", alias)
        self.manifest(ArtifactKey(name=name, artifact_id=artifact_id))

        def as_expected(now: str | None) -> bool:
            if expected is not Expected.ANYTHING and (now or Expected.NOTHING) != expected:
                is_now = f"is {name}@sha256:{now[:12]} now" if now else "does not exist"
                raise ConflictError(f"{name}@{alias} {is_now}, and is left as it is")
            return True

        move_alias(self._root, name, alias, artifact_id, as_expected)

    def verify(self, key: ArtifactKey, public_key: Path | None = None) -> Verification:
        """Read every byte of an artifact where it is stored, never a local copy, and compare digests.

        With a public key (a PEM file), its signature must exist and be valid. Raises InputError for another file.
        """
        unsigned = None if public_key is None else signatures.signature_problem(self._root, key, public_key)
        try:
            files = self.manifest(key).files
            problems = [problem for entry in files if (problem := self._problem(entry))]
        except DAMAGED as error:
            files, problems = (), [str(error)]
        problems += [unsigned] if unsigned else []
        return Verification(artifact_id=key.artifact_id, ok=not problems, files=len(files), problems=tuple(problems))

    def materialise(self, key: ArtifactKey) -> Path:
        """A verified local folder to load the model from, in the cache.

        Raises like `manifest`, and InputError for an artifact without weights.
        """
        manifest = self.manifest(key)
        signatures.require_signature(self._root, key)
        self._ref(manifest).require_weights()
        return local_copies.materialise(manifest, self._fetch)

    def pull(self, key: ArtifactKey, folder: Path) -> None:
        """Write the files and `manifest.json` to a new or empty folder. Raises like `manifest`, and InputError."""
        manifest = self.manifest(key)
        signatures.require_signature(self._root, key)
        local_copies.export(manifest, self._fetch, folder)

    def _ref(self, manifest: Manifest) -> ArtifactRef:
        return ArtifactRef(
            **dict(key := ArtifactKey(name=manifest.name, artifact_id=manifest.artifact_id)),
            model_sha256=manifest.model_sha256,
            uri=self._root.uri(manifest_path(key)),
            labels=manifest.labels,
            store=self.url,
            kind=manifest.kind,
            label_map=manifest.label_map,
            is_pinned=manifest.tagger is None or manifest.tagger.pinned,
        )

    def _summary(self, key: ArtifactKey, aliases: tuple[str, ...]) -> ArtifactSummary:
        manifest = self.manifest(key)
        return ArtifactSummary(
            **dict(key),
            created_at=manifest.provenance.created_at,
            aliases=aliases,
            bytes=manifest.total_bytes,
            labels=manifest.labels,
            uri=self._root.uri(manifest_path(key)),
            kind=manifest.kind,
        )

    def part(self, entry: FileEntry, start: int, end: int) -> bytes:
        """Bytes `start` to `end` of an artifact's file, as stored. Raises CorruptArtifactError without the file."""
        return self._stored(entry, lambda path: self._root.part(path, start, end))

    def _is_newer(self, key: ArtifactKey, other: str | None) -> bool:
        """Whether `latest` may move here: a slow writer must not turn it back to what the store dates earlier.

        Publishers' clocks do not count, nor does a date of the store that is later than the store's time now.
        """
        if other is None:
            return True
        try:
            there = self._root.modified(manifest_path(ArtifactKey(name=key.name, artifact_id=other)))
        except FileNotFoundError:
            return True
        if self._root.modified(path := manifest_path(key)) >= there:
            return True
        current = f"{key.name}@sha256:{other[:12]}"
        if there > self._root.now(beside=path) + _TOLERANCE:
            _logger.warning("%s has a date in the future, %s: %s moves anyway", current, there, LATEST)
            return True
        remedy = f"`nerbench artifacts alias {key.exact_name} {LATEST}` moves it"
        _logger.warning("%s@%s stays at %s, which was published later; %s", key.name, LATEST, current, remedy)
        return False

    def _upload(self, folder: Path, manifest: Manifest) -> None:
        def upload(entry: FileEntry, progress: ProgressCallback) -> bool:
            return self._root.upload(folder / entry.path, blob_path(entry), entry.sha256, progress)

        transfer(f"storing {manifest.name}", manifest.files, upload)

    def _fetch(self, entry: FileEntry, target: Path, progress: ProgressCallback) -> str:
        size = self._stored(entry, self._root.size)
        if size != entry.size:  # checked before anything is copied: the file might be endless
            raise CorruptArtifactError(f"{entry.path} has {size} bytes instead of {entry.size}")
        return self._stored(entry, lambda path: self._root.download(path, target, progress))

    def _stored(self, entry: FileEntry, read: Callable[[str], T]) -> T:
        path = blob_path(entry)
        try:
            return read(path)
        except FileNotFoundError:
            raise CorruptArtifactError(f"{entry.path} is missing: {self._root.uri(path)}") from None
        except OSError as error:
            if no_room(error):
                raise
            problem = f"{entry.path} cannot be read ({error.strerror}): {self._root.uri(path)}"
            raise CorruptArtifactError(problem) from error

    def _problem(self, entry: FileEntry) -> str | None:
        path = blob_path(entry)
        try:
            size = self._root.size(path)
            if size != entry.size:  # reported before anything is read: the file might be endless
                return f"{entry.path}: has {size} bytes instead of {entry.size}"
            found = self._root.sha256(path)
        except FileNotFoundError:
            return f"{entry.path}: missing"
        except (OSError, InputError) as error:
            return f"{entry.path}: cannot be read ({error})"
        return None if found == entry.sha256 else f"{entry.path}: has sha256 {found} instead of {entry.sha256}"


def _dated(provenance: Provenance) -> Provenance:
    """The same, dated now unless it has a date."""
    return provenance.model_copy(update={"created_at": provenance.created_at or datetime.now(UTC)})


def is_name(name: str) -> bool:
    """Whether this can be the name of a model or an alias."""
    try:
        _NAME.validate_python(name)
    except ValidationError:
        return False
    return True


def check_name(field: str, name: str) -> None:
    """Raise InputError for what cannot be the name of a model or an alias."""
    if not is_name(name):
        remedy = "use at most 96 letters, digits, `.`, `_` and `-`, the first a letter or digit"
        raise InputError(f"{field} {name!r}", "cannot be used", remedy)
