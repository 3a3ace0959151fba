"""Model references: how a user names models, and how the named models are loaded.

`name`, `name@alias`, `name@sha256:<at least 8 digits>` and `*@alias` are looked up in the store. A reference with a `/`
is a location: a folder, its fsspec URL, a published manifest in any store, `hf://org/model[@revision]`, or any location
for which there is a loader (`nerbench.artifacts.loaders`).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from nerbench.artifacts import hub_models, loaders, local_copies
from nerbench.artifacts.errors import DAMAGED, ArtifactNotFoundError, CorruptArtifactError, InputError, report_or_warn
from nerbench.artifacts.manifest import ArtifactKey, ArtifactRef, BaseSource, FileEntry, Golden, Manifest, Provenance
from nerbench.artifacts.memoized_reads import once
from nerbench.artifacts.model_folder import Part, Tensor, describe_folder, read_tensors
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import LATEST, Store, Verification
from nerbench.artifacts.store_layout import alias_path, manifest_path
from nerbench.artifacts.transfers import in_parallel

_PUBLISHED = re.compile(
    r"(?P<store>.+)/models/(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)/manifests/(?P<artifact_id>[0-9a-f]{64})\.json"
)
_DIGEST = "sha256:"
Item = TypeVar("Item")
Result = TypeVar("Result")


def resolve(reference: str, store_url: str) -> list[ArtifactRef]:
    """The artifacts that a reference currently names: one, or for `*@alias` every model of the store that has the
    alias.

    If there are several, those that cannot be trusted are left out and reported: see `nerbench.artifacts.errors`.
    Raises ArtifactNotFoundError, and InputError or UnsafeArtifactError for a folder that cannot be used.
    """
    question = (reference, store_url)
    found = once("reference", question, lambda: _resolve(*question), keep=lambda found: not found.n_damaged)
    return list(found.items)


def _resolve(reference: str, store_url: str) -> "_Sound[ArtifactRef]":
    if "/" in reference and not _PUBLISHED.fullmatch(reference):
        return _Sound([_folder_ref(reference)], 0)
    store, keys, n_damaged = _locate(reference, store_url)
    if reference.partition("@")[0] != "*":
        return _Sound([store.ref(key) for key in keys], 0)
    found = _sound(store.ref, keys, lambda key: f"{store.url}/{manifest_path(key)}")
    return found._replace(n_damaged=found.n_damaged + n_damaged)


class _Sound(NamedTuple, Generic[Result]):
    """Items that can be trusted."""

    items: list[Result]
    n_damaged: int
    """Number of items that were left out."""


def _sound(read: Callable[[Item], Result], items: Sequence[Item], where: Callable[[Item], str]) -> _Sound[Result]:
    """The results of reading several items concurrently, in order. An invalid item is left out and reported."""

    def attempt(item: Item) -> Result | Exception:
        try:
            return read(item)
        except DAMAGED as error:
            return error

    found = []
    for item, one in zip(items, in_parallel(attempt, items), strict=True):
        if isinstance(one, Exception):
            report_or_warn(where(item), one)
        else:
            found.append(one)
    return _Sound(found, len(items) - len(found))


def resolve_one(reference: str, store_url: str) -> ArtifactRef:
    """The one artifact that a reference currently names. Raises like `resolve`, and InputError if it names several."""
    refs = resolve(reference, store_url)
    if len(refs) != 1:
        raise InputError(f"model {reference!r}", f"means {len(refs)} artifacts", "name one of them")
    return refs[0]


def verify(reference: str, store_url: str, public_key: Path | None = None) -> list[Verification]:
    """Read every stored byte of the published artifacts that the references name, and require a signature if a public
    key is given. Raises like `resolve`, and InputError for a file without such a key."""
    if "/" in reference and not _PUBLISHED.fullmatch(reference):
        remedy = "verify what is published: name, name@alias, or the uri shown by `nerbench artifacts ls --json`"
        raise InputError(f"model {reference!r}", "has no manifest to be verified against", remedy)
    located = _locate(reference, store_url)
    return [located.store.verify(key, public_key) for key in located.keys]


def load_manifest(ref: ArtifactRef) -> Manifest:
    """The metadata of an artifact. The files of a folder are digested again.

    Raises CorruptArtifactError if the content no longer matches `ref`.
    """
    if ref.store is not None:
        return Store(ref.store).manifest(ref)
    return _described(ref)[1]


def _described(ref: ArtifactRef) -> tuple[Path, Manifest]:
    """The local folder of an artifact that is not published, and its current manifest. Raises like `load_manifest`."""
    if ref.folder is None:
        raise ValueError(f"{ref} has neither store nor folder")
    folder = loaders.fetch(ref.folder)
    manifest = describe_folder(folder, ref.name, _provenance(ref.folder))
    if manifest.artifact_id != ref.artifact_id:
        raise CorruptArtifactError(f"{ref.name}: {ref.folder} has changed since it was looked up")
    return folder, manifest


def golden_of(ref: ArtifactRef) -> Golden | None:
    """The recorded golden outputs of a published model, if any. Raises like `load_manifest`."""
    return Store(ref.store).manifest(ref).golden if ref.store is not None else None


def tensors_of(ref: ArtifactRef, manifest: Manifest) -> list[Tensor]:
    """The tensors of an artifact, from the headers of its files; reads no weights. Raises UnsafeArtifactError."""
    weights = [entry for entry in manifest.files if entry.path.endswith(".safetensors")]
    return [tensor for entry in weights for tensor in read_tensors(_part_of(ref, entry), entry.size, entry.path)]


def _part_of(ref: ArtifactRef, entry: FileEntry) -> Part:
    if ref.store is not None:
        return partial(Store(ref.store).part, entry)
    return partial(open_root(str(_described(ref)[0])).part, entry.path)


def materialise(ref: ArtifactRef) -> Path:
    """A local folder to load the model from; every byte has just been verified. Raises like `load_manifest`."""
    if ref.store is not None:
        return Store(ref.store).materialise(ref)
    folder, manifest = _described(ref)
    if "://" not in str(ref.folder) or folder.is_relative_to(local_copies.cache_folder()):
        return folder
    # Other programs may share a loader's folder, as they share the Hub's cache: their files must not be loaded.
    return local_copies.materialise(manifest, loaders.downloading(open_root(str(folder))))


def pull(ref: ArtifactRef, folder: Path) -> None:
    """Write the files of an artifact and its `manifest.json` to a new or empty folder. Raises like `load_manifest`."""
    if ref.store is not None:
        Store(ref.store).pull(ref, folder)
    else:
        found, manifest = _described(ref)
        local_copies.export(manifest, loaders.downloading(open_root(str(found))), folder)


def _folder_ref(location: str) -> ArtifactRef:
    location = loaders.pin(location)
    provenance = _provenance(location)
    if provenance.base_model:
        name = provenance.base_model.name
    else:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", location.rpartition("/")[2]).lstrip("._-")[:96] or "model"
    manifest = describe_folder(loaders.fetch(location), name, provenance)
    return ArtifactRef(
        name=name,
        artifact_id=manifest.artifact_id,
        model_sha256=manifest.model_sha256,
        uri=location,
        labels=manifest.labels,
        folder=location,
    )


def _provenance(location: str) -> Provenance:
    """The provenance of a folder: for a model of the Hub, its commit. A date would change the manifest of unchanged
    files."""
    if not location.startswith(hub_models.SCHEME):
        return Provenance()
    model, commit = hub_models.parse(location)
    return Provenance(base_model=BaseSource(name=model, revision=commit))


class _Located(NamedTuple):
    """Artifacts of a store."""

    store: Store
    keys: list[ArtifactKey]
    n_damaged: int = 0
    """Number of aliases that were left out."""


def _locate(reference: str, store_url: str) -> _Located:
    if published := _PUBLISHED.fullmatch(reference):
        key = ArtifactKey(name=published["name"], artifact_id=published["artifact_id"])
        return _Located(Store(published["store"]), [key])
    store = Store(store_url)
    name, _, selector = reference.partition("@")
    selector = selector or LATEST
    if name != "*" and (target := store.find_target(name, selector)):
        return _Located(store, [ArtifactKey(name=name, artifact_id=target)])
    ids, aliases_of, _ = store.published()
    if name == "*":
        found = _all_with_alias(store, aliases_of, selector, reference)
        return _Located(store, *found)
    if name not in ids:
        raise _not_found(reference, f"is not in the store {store.url}; it holds {_listed(ids)}", name)
    if selector.startswith(_DIGEST):
        return _Located(store, [_by_digest(reference, name, ids[name], selector.removeprefix(_DIGEST))])
    raise _not_found(reference, f"has no such alias; {name} has {_listed(aliases_of.get(name, []))}", name)


def _all_with_alias(
    store: Store, aliases: Mapping[str, Sequence[str]], alias: str, reference: str
) -> _Sound[ArtifactKey]:
    having = [name for name, of_name in aliases.items() if alias in of_name]
    if not having:
        raise _not_found(
            reference, f"no model of the store {store.url} has that alias; it holds {_listed(aliases)}", "*"
        )
    return _sound(
        lambda name: ArtifactKey(name=name, artifact_id=store.target(name, alias)),
        having,
        lambda name: f"{store.url}/{alias_path(name, alias)}",
    )


def _by_digest(reference: str, name: str, ids: list[str], prefix: str) -> ArtifactKey:
    if not re.fullmatch(r"[0-9a-f]{8,64}", prefix):
        remedy = f"write {name}@sha256: and at least the first 8 of its digits"
        raise InputError(f"model {reference!r}", "is not a digest", remedy)
    matching = [artifact_id for artifact_id in ids if artifact_id.startswith(prefix)]
    if not matching:
        raise _not_found(
            reference, f"{name} has no artifact with that digest; it has {_listed(i[:12] for i in ids)}", name
        )
    if len(matching) > 1:
        raise InputError(f"model {reference!r}", f"is the beginning of {len(matching)} digests", "write more digits")
    return ArtifactKey(name=name, artifact_id=matching[0])


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "nothing"


def _not_found(reference: str, problem: str, name: str) -> ArtifactNotFoundError:
    remedy = "see `nerbench artifacts ls`, or train it with `nerbench train`"
    if name and Path(name).is_dir():
        remedy = f"write ./{name} for the folder of that name"
    return ArtifactNotFoundError(f"model {reference!r}", problem, remedy)
