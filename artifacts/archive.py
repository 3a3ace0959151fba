"""Artifacts of a store in one archive, for a backup or for another store.

An archive is an uncompressed tar file with the paths of a store: for each artifact its blobs, its manifest and its
signatures, and at the end `index.json` with the aliases. Nothing is unpacked by the names in it: every file is checked
against the digest that names it before the store gets it, and an artifact is published only after all its files.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

from pydantic import ValidationError

from nerbench.artifacts.aliases import Expected
from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import ConflictError, CorruptArtifactError, InputError
from nerbench.artifacts.manifest import MAX_MANIFEST_BYTES, ArtifactKey, Manifest, Record
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.artifacts.signatures import MAX_SIGNATURE_BYTES, is_signature
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.paths import room_for, temporary_sibling
from nerbench.artifacts.store import LATEST, Store, is_name
from nerbench.artifacts.store_layout import blob_path, kind_of, manifest_path, signature_paths

INDEX = "index.json"
_MAX_INDEX = 64 << 20
_CHUNK = 1 << 20
_UNKNOWN = datetime.min.replace(tzinfo=UTC)
_DAMAGE = (tarfile.TarError, ValueError, ArithmeticError, MemoryError, RecursionError)
"""Errors of tarfile for damage, impossible sizes, and thousands of extended headers in a row."""


class Index(Record):
    """The last file of an archive."""

    nerbench_archive: Literal[1] = 1
    artifacts: dict[str, tuple[str, ...]]
    """The artifact ids by name."""
    aliases: dict[str, dict[str, str]]
    """The artifact id of each alias, by name. `latest` is always there."""


class ImportedArchive(Record):
    """The result of an import."""

    added: tuple[ArtifactKey, ...]
    """Artifacts that the store did not have."""
    present: tuple[ArtifactKey, ...]
    """Artifacts that it had."""
    kept_aliases: tuple[str, ...]
    """`NAME@ALIAS` of aliases that point to something else in the store, and stay there."""


def write_archive(store: Store, keys: Sequence[ArtifactKey], path: Path) -> Index:
    """Write artifacts to a new file, each byte checked against its digest.

    Raises InputError if the file exists or cannot be created, CorruptArtifactError, ArtifactNotFoundError. After an
    error there is no file.
    """
    if path.exists():
        raise InputError(str(path), "exists", "choose another name, or remove it")
    root = open_root(store.url)
    unfinished = temporary_sibling(path)
    written: set[str] = set()
    manifests: list[Manifest] = []
    try:
        with (
            room_for(path),
            _created(unfinished) as archive,
            scratch_folder() as scratch,
        ):
            for key in keys:
                manifest = store.manifest(key)
                folder = scratch / key.artifact_id
                store.pull(key, folder)
                for entry in manifest.files:
                    if (blob := blob_path(entry)) not in written:
                        archive.add(folder / entry.path, blob, filter=_plain)
                        written.add(blob)
                    (folder / entry.path).unlink()
                _add(archive, manifest_path(key), manifest.to_bytes())
                for name in sorted(signature_paths(root, key)):
                    if is_signature(name, data := root.read_record(name, MAX_SIGNATURE_BYTES)):
                        _add(archive, name, data)
                manifests.append(manifest)
            index = _index(store, manifests)
            _add(archive, INDEX, canonical_json(index.model_dump(mode="json")))
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return index


def read_archive(store: Store, path: Path) -> ImportedArchive:
    """Publish the artifacts of an archive with their ids, and set the aliases that the store does not have.

    Raises InputError for a file that is not an archive, and CorruptArtifactError for a file in it without its
    digest, or for an archive that is cut off; artifacts before that place stay published.
    """
    root, done, index = open_root(store.url), [], None
    with (
        _opened(path) as archive,
        scratch_folder() as scratch,
        room_for(scratch),
        _damage_named(path, tarfile.TarError),  # the streams are read here
    ):
        for member, stream in _files(archive, path):
            kind = kind_of(member.name)
            if index is not None:
                raise CorruptArtifactError(f"{path}: {member.name} follows {INDEX}")
            if member.name == INDEX:
                index = _read_index(stream.read(_MAX_INDEX + 1), path)
            elif kind == "blob":
                digest = member.name.rpartition("/")[2]
                blob = scratch / digest
                if _copied(stream, blob) != digest:
                    raise CorruptArtifactError(f"{path}: {member.name} does not have its digest")
                root.upload(blob, member.name, digest)
                blob.unlink()
            elif kind == "manifest":
                done.append(_publish(store, member.name, stream.read(MAX_MANIFEST_BYTES + 1), path))
            elif kind == "signature":
                if not is_signature(member.name, data := stream.read(MAX_SIGNATURE_BYTES)):
                    raise CorruptArtifactError(f"{path}: {member.name} is not a valid signature")
                with suppress(FileExistsError):
                    root.create(member.name, data)
            else:
                raise InputError(str(path), f"has {member.name!r}, which no archive of nerbench has", "export it again")
    keys = {key for key, _ in done}
    if index is None or keys != {ArtifactKey(name=n, artifact_id=i) for n, ids in index.artifacts.items() for i in ids}:
        raise CorruptArtifactError(f"{path} is cut off; it gave {len(done)} artifacts")
    _check_aliases(index, path)
    return ImportedArchive(
        added=tuple(key for key, is_new in done if is_new),
        present=tuple(key for key, is_new in done if not is_new),
        kept_aliases=tuple(_set_aliases(store, index)),
    )


def _index(store: Store, manifests: Sequence[Manifest]) -> Index:
    ids: dict[str, tuple[str, ...]] = {}
    for one in manifests:
        ids[one.name] = (*ids.get(one.name, ()), one.artifact_id)
    # In the order of publication, as far as it is known.
    order = {one.artifact_id: one.provenance.created_at or _UNKNOWN for one in manifests}
    aliases = {name: {LATEST: max(its, key=lambda one: order[one])} for name, its in ids.items()}
    for name, its in ids.items():
        aliases[name] |= {alias: target for alias, target in store.aliases(name).items() if target in its}
    return Index(artifacts=ids, aliases=aliases)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without owner, time and permissions, so that equal artifacts give equal archives."""
    plain = tarfile.TarInfo(member.name)
    plain.size = member.size
    return plain


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def _created(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "x")
    except OSError as error:
        problem = f"cannot be written to ({error.strerror})"
        raise InputError(f"folder {path.parent}", problem, "name a file in another folder") from error


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path, "r:")
    except FileNotFoundError:
        raise InputError(str(path), "does not exist", "check the path") from None
    except (OSError, *_DAMAGE) as error:
        remedy = "give a file that `nerbench artifacts export` writes"
        raise InputError(str(path), f"cannot be read as an archive ({error})", remedy) from error


@contextmanager
def _damage_named(path: Path, *errors: type[Exception]) -> Iterator[None]:
    try:
        yield
    except errors as error:
        raise CorruptArtifactError(f"{path} is damaged or cut off ({error})") from error


def _files(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """The regular files of an archive; anything else in it is an error.

    A sparse file is not read, because a few bytes may describe any amount of zeros. After a negative size, tarfile
    would read the same header again.
    """
    while True:
        with _damage_named(path, *_DAMAGE):
            if (member := archive.next()) is None:
                return
            is_plain = member.isreg() and not member.issparse() and member.size >= 0
            stream = archive.extractfile(member) if is_plain else None
        if stream is None:
            raise InputError(str(path), f"has {member.name!r}, which is not a regular file", "export it again")
        yield member, stream


def _copied(stream: IO[bytes], target: Path) -> str:
    """Copy a stream to a file; return the sha256 of what was copied."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _publish(store: Store, name: str, data: bytes, path: Path) -> tuple[ArtifactKey, bool]:
    manifest = Manifest.from_bytes(data)
    key = ArtifactKey(name=manifest.name, artifact_id=sha256_hex(data))
    if manifest_path(key) != name:
        raise CorruptArtifactError(f"{path}: {name} does not have its digest, or is that of another model")
    return key, store.adopt(manifest)


def _read_index(data: bytes, path: Path) -> Index:
    try:
        if len(data) > _MAX_INDEX:
            raise ValueError(f"more than {_MAX_INDEX} bytes")
        return Index.model_validate_json(data)
    except (ValidationError, ValueError) as error:
        problem = f"its {INDEX} is not of a known form"
        raise InputError(str(path), problem, "import it with the version of nerbench that wrote it") from error


def _check_aliases(index: Index, path: Path) -> None:
    """Raise CorruptArtifactError before an alias is set if one has no valid name or target."""
    for name, aliases in index.aliases.items():
        for alias, target in aliases.items():
            if not is_name(alias):
                raise CorruptArtifactError(f"{path}: {alias!r} cannot be an alias of {name}")
            if target not in index.artifacts.get(name, ()):
                raise CorruptArtifactError(
                    f"{path}: {name}@{alias} points to an artifact that the archive does not have"
                )


def _set_aliases(store: Store, index: Index) -> Iterator[str]:
    """Set the aliases that the store does not have; yield those that point elsewhere."""
    for name, aliases in index.aliases.items():
        for alias, target in aliases.items():
            try:
                store.set_alias(name, alias, target, expected=Expected.NOTHING)
            except ConflictError:
                if store.target(name, alias) != target:
                    yield f"{name}@{alias}"
