"""Models of the Hugging Face Hub as local folders at one commit; every file is compared with the Hub's digest."""

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nerbench.artifacts.digests import sha256_file
from nerbench.artifacts.errors import ArtifactNotFoundError, CorruptArtifactError, InputError, UnsafeArtifactError
from nerbench.artifacts.manifest import MAX_BYTES, MAX_FILES
from nerbench.artifacts.model_folder import SAFE_FILES
from nerbench.artifacts.storage.retries import ATTEMPTS, Unanswered, attempt

if TYPE_CHECKING:
    from huggingface_hub import HfApi, RepoFile

SCHEME = "hf://"
BUSY = 429
_LOCATION = re.compile(r"hf://(?P<model>([\w.-]+/)?[\w.-]+)(@(?P<revision>[^@]+))?")
_SAFE: Any = {"allow_patterns": [*SAFE_FILES], "ignore_patterns": ["*/*"]}
"""The rule of `is_safe` for the Hub's client, in whose patterns `*` also matches `/../`."""
_logger = logging.getLogger(__name__)
T = TypeVar("T")


class HubLocation(NamedTuple):
    """The parts of `hf://org/model[@revision]`."""

    model: str
    """`org/model`, or `model` for some old ones without an owner."""
    revision: str | None
    """Branch, tag or commit; None for the main branch."""


class HubSnapshot(NamedTuple):
    """A model of the Hub in the local cache of the Hub's client."""

    model: str
    """`org/model`."""
    commit: str
    """The commit of the branch or tag at the time of the request."""
    folder: Path
    """The folder with its safe files."""


def client() -> "HfApi":
    """The Hub's own client, at `HF_ENDPOINT` if that is set. The token is that of the environment or of a login."""
    from huggingface_hub import HfApi

    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="nerbench")


def parse(location: str) -> HubLocation:
    """Read `hf://org/model[@revision]`; raises InputError."""
    match = _LOCATION.fullmatch(location)
    if not match:
        remedy = "write hf://org/model or hf://org/model@revision"
        raise InputError(f"model {location!r}", "is not a location on the Hub", remedy)
    return HubLocation(match["model"], match["revision"])


def resolve(model: str, revision: str | None, attempts: int = ATTEMPTS) -> str:
    """The current commit of a branch or tag; without a network, its commit at the last download.

    Raises ArtifactNotFoundError, and StoreUnreachableError if the Hub gives no answer.
    """
    return _asked(f"{SCHEME}{model}", lambda: client().resolve_revision(model, revision=revision), attempts).resolved


def snapshot(location: str) -> HubSnapshot:
    """Download the safe files of `hf://org/model[@revision]`, or find them in the Hub's cache, and check their digests.

    A damaged local copy is downloaded again, with a warning. Raises like `resolve`; UnsafeArtifactError, before any
    download, for more or larger files than a model may have; and CorruptArtifactError for bytes that differ from the
    Hub's.
    """
    model, revision = parse(location)
    commit = resolve(model, revision)
    listed = _listing(location, model, commit)
    folder = _downloaded(model, commit)
    if folder is None or not listed or _damaged(folder, listed):
        folder = _download(location, model, commit, listed)
    return HubSnapshot(model, commit, folder)


def is_transient(error: BaseException | None) -> bool:
    """Whether a retry may succeed, because the network failed or the Hub was too busy."""
    from httpx2 import ProxyError, TransportError
    from huggingface_hub.errors import HfHubHTTPError

    while error is not None:
        if isinstance(error, HfHubHTTPError):
            return error.response.status_code >= 500 or error.response.status_code == BUSY
        if isinstance(error, TransportError):
            return not isinstance(error, ProxyError)
        error = error.__cause__
    return False


def _asked(location: str, question: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """The Hub's answer, with retries while it is unreachable."""
    from httpx2 import TransportError
    from huggingface_hub import errors

    refusals = (
        *(errors.HfHubHTTPError, errors.RevisionResolutionError, errors.LocalEntryNotFoundError),
        *(errors.OfflineModeIsEnabled, errors.FileMetadataError, errors.HFValidationError, TransportError),
    )

    def ask() -> T:
        try:
            return question()
        except refusals as error:
            if is_transient(error):
                raise Unanswered(f"{type(error).__name__}: {error}".partition("\n")[0]) from error
            offline = isinstance(error.__cause__ or error, errors.OfflineModeIsEnabled)
            problem = f"cannot be had from the Hub ({'HF_HUB_OFFLINE is set' if offline else type(error).__name__})"
            remedy = "check the name, the revision, the network and, for a private model, `hf auth login`"
            raise ArtifactNotFoundError(f"model {location!r}", problem, remedy) from error

    return attempt(ask, location, attempts)


def _listing(location: str, model: str, commit: str) -> "list[RepoFile]":
    """The safe files of a commit with the Hub's digests; empty if the Hub is offline and has never been listed."""
    from huggingface_hub import RepoFile, get_cached_repo_tree, is_offline_mode
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        found = get_cached_repo_tree(model, revision=commit)
    except CachedRepoTreeNotFoundError:
        if is_offline_mode():
            _logger.warning("%s: the Hub's digests are unknown offline; the local copy is taken as it is", location)
            return []
        found = _asked(
            location,
            lambda: [
                entry
                for entry in client().list_repo_tree(model, revision=commit, recursive=True)
                if isinstance(entry, RepoFile)
            ],
        )
    safe = [file for file in found if is_safe(file.path)]
    total = sum(file.size for file in safe)
    if len(safe) > MAX_FILES or total > MAX_BYTES:
        problem = f"has {len(safe)} files of {total} bytes, more than {MAX_FILES} or {MAX_BYTES}"
        raise UnsafeArtifactError(f"model {location!r}", problem, "use a smaller model")
    return safe


def is_safe(path: str) -> bool:
    """Whether a file of a repository belongs to the files of a model."""
    return "/" not in path and any(fnmatchcase(path, pattern) for pattern in SAFE_FILES)


def _damaged(folder: Path, listed: "Iterable[RepoFile]") -> list[str]:
    """The files that are missing or whose digest differs from the Hub's."""
    return [file.path for file in listed if not is_intact(folder / file.path, file)]


def is_intact(path: Path, file: "RepoFile") -> bool:
    """Whether a local file has the Hub's digest."""
    if not path.is_file():
        return False
    # Git stores small files itself, by its own digest, and large files (LFS) by their sha256.
    return sha256_file(path) == file.lfs.sha256 if file.lfs else git_digest(path.read_bytes()) == file.blob_id


def git_digest(data: bytes) -> str:
    """Git's digest of a file: sha1 over a header with its length, and its bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _downloaded(model: str, commit: str) -> Path | None:
    """The folder of a commit in the Hub's cache, which may be incomplete."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(client().snapshot_download(model, revision=commit, **_SAFE, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _download(location: str, model: str, commit: str, listed: "list[RepoFile]") -> Path:
    """Bring the safe files of a commit into the Hub's cache. Raises CorruptArtifactError for other bytes."""
    from huggingface_hub import is_offline_mode

    folder = Path(_asked(location, lambda: client().snapshot_download(model, revision=commit, **_SAFE)))
    if not (damaged := _damaged(folder, listed)):
        return folder
    if is_offline_mode():
        raise CorruptArtifactError(f"{location}: the copy of {damaged[0]} is damaged, and HF_HUB_OFFLINE is set")
    # The client trusts the content of its cache.
    _logger.warning("%s: the local copy of %s is damaged and fetched again", location, ", ".join(damaged))
    for path in damaged:
        _asked(location, partial(client().hf_hub_download, model, path, revision=commit, force_download=True))
    if still := _damaged(folder, listed):
        raise CorruptArtifactError(f"{location}: {still[0]} differs from the Hub's digest")
    return folder
