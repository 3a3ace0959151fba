"""How a model at a location becomes a local folder: one loader for each scheme of URLs.

The installed packages name their loaders as entry points of the group `nerbench.loaders`, as nerbench names its own in
`pyproject.toml`; a scheme that none of them names is left to fsspec. The loader of an artifact that is published in a
store is the store: its manifest says what each file must be.
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

    A package offers one as an entry point of the group `nerbench.loaders`, named like the scheme: a class that is made
    without arguments, once a process. Every location `scheme://…` then goes to it, in the same words that the user
    wrote. Two packages that load the same scheme are an error that names both.

    A subclass need not define `pin`; a class that is no subclass needs both methods.
    """

    @abstractmethod
    def fetch(self, ref: str) -> Path:
        """A local folder with the files that `save_pretrained` of the model and its tokenizer wrote.

        It is called for each use of the model, by several threads and processes, with what `pin` returned. The folder
        is trusted no more than one that a user names: its files are checked and digested, then those that make a model
        are copied to nerbench's cache, and only the copy is loaded. Raise FileNotFoundError if there is no such
        model; another OSError is taken for a store that does not answer, and asked again by a run.
        """

    def pin(self, ref: str) -> str:
        """The location of what `ref` means now, for example with a revision; it is called once a run.

        Without one, a model that changes during a run is an error.
        """
        return ref


class FolderLoader(Loader):
    """Folders: one of this machine as it is, one on another fsspec filesystem as a verified copy in the cache."""

    def pin(self, ref: str) -> str:
        return open_root(ref).url

    def fetch(self, ref: str) -> Path:
        root = open_root(ref)
        if not root.files():
            raise ArtifactNotFoundError(f"model {ref!r}", "is not a folder with files", "check the path")
        if "://" not in root.url:
            return Path(root.url)
        return local_copies.materialise(describe_folder(root.url, "model", Provenance()), downloading(root))


class HubLoader(Loader):
    """Models of the Hugging Face Hub, at one commit."""

    def pin(self, ref: str) -> str:
        model, revision = hub_models.parse(ref)
        return f"{hub_models.SCHEME}{model}@{hub_models.resolve(model, revision)}"

    def fetch(self, ref: str) -> Path:
        return hub_models.snapshot(ref).folder


def pin(location: str) -> str:
    """The location of what a location means now. Raises like `fetch`."""
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
    """What copies the files of a folder."""

    def download(entry: FileEntry, target: Path, progress: ProgressCallback) -> str:
        return root.download(entry.path, target, progress)

    return download


def _ask(location: str, question: Callable[[Loader], T]) -> T:
    """The answer of a location's loader. What a loader of another package raises names the package."""
    refuse_credentials("model", location)
    found = _loader(_scheme(location))
    if found.is_own:
        return question(found.loader)
    try:
        return question(found.loader)
    except NerbenchError:
        raise
    except FileNotFoundError as error:
        raise ArtifactNotFoundError(f"model {location!r}", f"{found.name} finds none: {error}", "check it") from error
    except OSError as error:
        raise StoreUnreachableError(f"{location}: {found.name} failed: {error}", location) from error
    except Exception as error:
        raise NerbenchError(f"{location}: {found.name} failed: {type(error).__name__}: {error}") from error


class _Found(NamedTuple):
    loader: Loader
    name: str
    """For messages."""
    is_own: bool


def _scheme(location: str) -> str:
    scheme, found, _ = location.partition("://")
    return scheme if found else "file"


@lru_cache
def _loader(scheme: str) -> _Found:
    """The loader of a scheme; one of another package is logged by name when it is used first."""
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
