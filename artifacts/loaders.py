"""Loaders bring the model at a location into a local folder: one loader for each URL scheme.

Installed packages name their loaders as entry points of the group `nerbench.loaders`; nerbench names its own in
`pyproject.toml`. fsspec handles schemes without a loader. Artifacts that are published in a store are loaded by the
store, whose manifest has the digest of each file.
"""

import logging
from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from nerbench.artifacts import hub_models, local_copies
from nerbench.artifacts.errors import (
    ArtifactNotFoundError,
    InputError,
    NerbenchError,
    StoreUnreachableError,
    refuse_credentials,
)
from nerbench.artifacts.manifest import FileEntry, Provenance
from nerbench.artifacts.model_folder import describe_folder
from nerbench.artifacts.storage.filesystem import ProgressCallback, Root
from nerbench.artifacts.storage.open_root import open_root

GROUP = "nerbench.loaders"
_OWN = "nerbench"
_logger = logging.getLogger(__name__)
T = TypeVar("T")


@runtime_checkable
class Loader(Protocol):
    """Brings models to this machine from the locations of one URL scheme.

    A package offers a loader as an entry point of the group `nerbench.loaders` whose name is the scheme. The entry
    point is a class without constructor arguments; each process makes one instance. It gets every location `scheme://…`
    exactly as the user wrote it. If two packages offer a loader for the same scheme, an error names both.

    A subclass need not define `pin`; a class that is not a subclass needs both methods.

    >>> import nerbench
    >>> from pathlib import Path
    >>> class Registry(nerbench.Loader):
    ...     def fetch(self, ref):
    ...         return Path("/models", ref.removeprefix("registry://"))
    >>> Registry().pin("registry://tiny")
    'registry://tiny'
    """

    @abstractmethod
    def fetch(self, ref: str) -> Path:
        """A local folder with the files that `save_pretrained` of the model and its tokenizer wrote.

        Called for each use of the model, by several threads and processes, with the value that `pin` returned. The
        folder is trusted no more than one that a user names: its files are checked and digested, the model's files are
        copied to nerbench's cache, and only the copy is loaded. Raise FileNotFoundError if there is no such model. Any
        other OSError means that a store does not respond; a run then tries again.
        """

    def pin(self, ref: str) -> str:
        """The location of the current content of `ref`, for example with a revision. Called once per run.

        Without it, a model that changes during a run is an error.
        """
        return ref


class FolderLoader(Loader):
    """Folders: a local folder as it is, and a folder on another fsspec filesystem as a verified copy in the cache."""

    def pin(self, ref: str) -> str:
        return open_root(ref).url

    def fetch(self, ref: str) -> Path:
        root = open_root(ref)
        if not root.files():
            raise ArtifactNotFoundError(f"model {ref!r}", "is not a folder with files", _nearby_model(root.url))
        if "://" not in root.url:
            return Path(root.url)
        return local_copies.materialise(describe_folder(root.url, "model", Provenance()), downloading(root))


def _nearby_model(folder: str) -> str:
    """The remedy for a local folder without files: its newest subfolder with a model, such as a checkpoint."""
    models = [config.parent for config in Path(folder).glob("*/config.json")]
    newest = max(models, key=lambda model: model.stat().st_mtime, default=None)
    return f"name the folder of a model, e.g. {newest}" if newest else "check the path"


class HubLoader(Loader):
    """Models of the Hugging Face Hub, at one commit."""

    def pin(self, ref: str) -> str:
        model, revision = hub_models.parse(ref)
        return f"{hub_models.SCHEME}{model}@{hub_models.resolve(model, revision)}"

    def fetch(self, ref: str) -> Path:
        return hub_models.snapshot(ref).folder


def pin(location: str) -> str:
    """The location of the current content of a location. Raises like `fetch`."""
    return _ask(location, lambda loader: loader.pin(location))


def fetch(location: str) -> Path:
    """A local folder with the files of the model at a location.

    Raises ArtifactNotFoundError, InputError for a loader that cannot be used, StoreUnreachableError, and whatever
    nerbench's own loaders raise.
    """
    folder = _ask(location, lambda loader: Path(loader.fetch(location)))
    if not folder.is_dir():
        loader = _loader(_scheme(location)).name
        raise InputError(f"model {location!r}", f"{loader} returned no folder ({folder})", "report it to its authors")
    return folder


def downloading(root: Root) -> local_copies.Fetch:
    """A function that copies the files of a folder."""

    def download(entry: FileEntry, target: Path, progress: ProgressCallback) -> str:
        return root.download(entry.path, target, progress)

    return download


def _ask(location: str, question: Callable[[Loader], T]) -> T:
    """The result of a location's loader. Exceptions of another package's loader name the package."""
    refuse_credentials("model", location)
    found = _loader(_scheme(location))
    if found.is_own:
        return question(found.loader)
    try:
        return question(found.loader)
    except NerbenchError:
        raise
    except FileNotFoundError as error:
        problem = f"{found.name} finds no model there: {error}"
        raise ArtifactNotFoundError(f"model {location!r}", problem, "check the location") from error
    except OSError as error:
        raise StoreUnreachableError(f"{location}: {found.name} failed: {error}", location) from error
    except Exception as error:
        raise NerbenchError(f"{location}: {found.name} failed: {type(error).__name__}: {error}") from error


class _Found(NamedTuple):
    loader: Loader
    name: str
    """Used in messages."""
    is_own: bool


def _scheme(location: str) -> str:
    scheme, found, _ = location.partition("://")
    return scheme if found else "file"


@lru_cache
def _loader(scheme: str) -> _Found:
    """The loader of a scheme; the first use of another package's loader is logged."""
    entries = tuple(entry_points(group=GROUP, name=scheme))
    if not entries and f"{scheme}://" == hub_models.SCHEME:
        remedy = "install it again, for example with `pip install -e .`"
        raise InputError(
            f"location {hub_models.SCHEME}…", "the installed nerbench does not name its own loaders", remedy
        )
    if not entries:
        return _Found(FolderLoader(), "fsspec", is_own=True)
    if len(entries) > 1:
        names = " and ".join(sorted(map(_name, entries)))
        raise InputError(f"location {scheme}://…", f"is claimed by {names}", "uninstall all but one of them")
    entry, name = entries[0], _name(entries[0])
    is_own = entry.dist is not None and entry.dist.name == _OWN
    if not is_own:
        _logger.warning("%s://… is loaded by %s", scheme, name)
    try:
        loader = entry.load()()
    except Exception as error:
        problem = f"{name} cannot be used ({type(error).__name__}: {error})"
        raise InputError(f"location {scheme}://…", problem, "repair or uninstall that package") from error
    if not isinstance(loader, Loader):
        remedy = "derive it from nerbench.Loader, or give it both methods"
        raise InputError(f"location {scheme}://…", f"{name} has no fetch and pin", remedy)
    return _Found(loader, name, is_own)


def _name(entry: EntryPoint) -> str:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
    return f"{entry.value} of {package}"
