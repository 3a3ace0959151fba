"""Publishing on the Hugging Face Hub: all that changes in one commit on top of the head that was seen, or nothing.

The token is the client's business: it comes from the environment (`HF_TOKEN`) or from `hf auth login`.
"""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from nerbench.artifacts.errors import ConflictError, InputError, NerbenchError, StoreUnreachableError
from nerbench.artifacts.hub_models import client, git_digest, is_intact, is_safe, is_transient
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import load_manifest, materialise
from nerbench.artifacts.storage.retries import Unanswered, attempt
from nerbench.tasks.publishing.card import merge

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, RepoFile
    from huggingface_hub.errors import HfHubHTTPError

README = "README.md"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_MOVED = (409, 412)
_MAX_CARD_BYTES = 1 << 20
Visibility = Literal["private", "public", "keep"]
"""Who may see a repository; `keep` leaves one that is there as it is, and makes a private one."""


class Publication(BaseModel):
    """A model that is on the Hub."""

    model_config = ConfigDict(frozen=True)

    repository: str
    """`org/name`."""
    url: str
    """Of the repository."""
    commit: str
    """That holds the model and its card."""
    changed: bool
    """Whether the commit is new; False if the same content was there."""
    private: bool
    """Whether only members see it."""
    files: tuple[str, ...]
    """What the commit added, changed or removed."""


class Head(NamedTuple):
    """What a repository holds now."""

    commit: str
    private: bool
    files: "dict[str, RepoFile]"
    card: str | None


class _HeadMoved(Unanswered):
    """Somebody else committed since the head was read."""


def check_request(repository: str, field: str = "--to") -> None:
    """Raises InputError for a name that the Hub would not take, and if there is no token; asks nobody."""
    from huggingface_hub import get_token

    check_repository(repository, field)
    if not get_token():
        raise InputError("Hub", "there is no token to publish with", "set HF_TOKEN, or run `hf auth login`")


def check_repository(repository: str, field: str = "--to") -> None:
    """Raises InputError for a name that the Hub would not take; `field` is where it was given."""
    if not _REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository or repository.endswith(".git"):
        raise InputError(f"{field} {repository!r}", "is no repository on the Hub", "write org/name")


def publish(
    artifact: ArtifactRef, card: str, repository: str, *, visibility: Visibility | None, message: str | None
) -> Publication:
    """Put the files of an artifact and its card into a repository, which is made if missing, private unless `public`.

    A repository that is there becomes `private` before the commit, or `public` after it. Without a `visibility`, a
    public one is refused.

    Model files of an earlier publication that this one does not have are removed, so that what is downloaded is this
    artifact; other files stay. What a user added to the card stays too (see `regions`), if that has at most 1 MiB. The
    same content again is no commit.

    Raises:
        InputError: no token, or one that may not do this; a public repository without a `visibility`.
        ConflictError: others committed first, every time.
        StoreUnreachableError: the Hub gave no answer.
        CorruptArtifactError: the artifact is damaged; UnsafeArtifactError: it must not be loaded.
    """
    check_request(repository)
    folder = materialise(artifact)
    paths = [entry.path for entry in load_manifest(artifact).files]
    summary = message or f"Publish {artifact.name}@sha256:{artifact.artifact_id[:12]}"
    sent: list[tuple[str, ...]] = []

    def once() -> Publication:
        try:
            head = _head(repository, visibility)
            operations = _changes(folder, paths, card, head)
            if operations:
                sent.append(tuple(sorted(operation.path_in_repo for operation in operations)))
                commit = _commit(repository, operations, head, summary)
            else:
                commit = head.commit
            if shown := head.private and visibility == "public":
                client().update_repo_settings(repository, private=False)
        except NerbenchError:
            raise
        except Exception as error:
            raise _explained(error, repository) from error
        # A commit whose reply was lost is found to be there already.
        return Publication(
            repository=repository,
            url=f"{client().endpoint}/{repository}",
            commit=commit,
            changed=bool(sent),
            private=head.private and not shown,
            files=sent[-1] if sent else (),
        )

    try:
        return attempt(once, f"Hub repository {repository}")
    except StoreUnreachableError as error:
        if isinstance(error.__cause__, _HeadMoved):
            raise ConflictError(f"Hub repository {repository}: others committed first; publish again") from error
        raise


def _head(repository: str, visibility: Visibility | None) -> Head:
    from huggingface_hub import RepoFile
    from huggingface_hub.errors import RepositoryNotFoundError

    api = client()
    try:
        info = api.model_info(repository)
    except RepositoryNotFoundError:
        api.create_repo(repository, private=visibility != "public", exist_ok=True)
        info = api.model_info(repository)
    if not info.private and visibility is None:
        remedy = "add --visibility public to publish there, or --visibility private to hide it first"
        raise InputError(f"--to {repository}", "is public", remedy)
    if hidden := not info.private and visibility == "private":
        api.update_repo_settings(repository, private=True)
    commit = str(info.sha)
    listed = api.list_repo_tree(repository, revision=commit, recursive=True)
    files = {file.path: file for file in listed if isinstance(file, RepoFile)}
    return Head(commit, bool(info.private or hidden), files, _read_card(repository, commit, files.get(README)))


def _read_card(repository: str, commit: str, listed: "RepoFile | None") -> str | None:
    if listed is None:
        return None
    if listed.size > _MAX_CARD_BYTES:
        problem = f"its {README} has {listed.size} bytes, more than {_MAX_CARD_BYTES}"
        raise InputError(f"--to {repository}", problem, "shorten it there, or publish elsewhere")
    with tempfile.TemporaryDirectory() as folder:
        path = client().hf_hub_download(repository, README, revision=commit, local_dir=folder)
        return Path(path).read_text(encoding="utf-8", errors="replace")


def _changes(
    folder: Path, paths: Sequence[str], card: str, head: Head
) -> "list[CommitOperationAdd | CommitOperationDelete]":
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    merged = merge(card, head.card).encode("utf-8")
    same_card = README in head.files and head.files[README].blob_id == git_digest(merged)
    stale = [path for path in head.files if is_safe(path) and path not in paths]
    return [
        *(
            CommitOperationAdd(path_in_repo=path, path_or_fileobj=folder / path)
            for path in paths
            if path not in head.files or not is_intact(folder / path, head.files[path])
        ),
        *([] if same_card else [CommitOperationAdd(path_in_repo=README, path_or_fileobj=merged)]),
        *(CommitOperationDelete(path_in_repo=path) for path in stale),
    ]


def _commit(
    repository: str, operations: "Sequence[CommitOperationAdd | CommitOperationDelete]", head: Head, summary: str
) -> str:
    done = client().create_commit(repository, operations, commit_message=summary, parent_commit=head.commit)
    return done.oid


def _explained(error: Exception, repository: str) -> Exception:
    """What went wrong with the Hub: whether to try again, or what the user can mend. Other errors stay as they are."""
    if is_transient(error):
        return Unanswered(f"{type(error).__name__}: {error}".partition("\n")[0])
    refusal = _refusal(error)
    if refusal is None:
        # The client's word for metadata that the Hub rejects.
        return (
            InputError("card", str(error), "correct the card there, or `card` here")
            if type(error) is ValueError
            else error
        )
    status = refusal.response.status_code
    if status in _MOVED:
        return _HeadMoved(f"status {status}")
    if status in (401, 403, 404):
        remedy = "check the name, and that the token (HF_TOKEN, or `hf auth login`) may write there"
        return InputError(f"--to {repository}", f"the Hub refuses it (status {status})", remedy)
    reason = refusal.server_message or type(refusal).__name__
    return InputError(f"--to {repository}", f"the Hub refuses it (status {status})", reason)


def _refusal(error: BaseException | None) -> "HfHubHTTPError | None":
    """The Hub's answer behind an error; uploads wrap theirs."""
    from huggingface_hub.errors import HfHubHTTPError

    while error is not None and not isinstance(error, HfHubHTTPError):
        error = error.__cause__
    return error
