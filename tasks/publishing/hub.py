"""Publishes on the Hugging Face Hub: all changes in one commit on top of the head that was read, or none.

The Hub's client reads the token from the environment (`HF_TOKEN`) or from `hf auth login`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from nerbench.artifacts.errors import ConflictError, InputError, NerbenchError, StoreUnreachableError
from nerbench.artifacts.hub_models import client, git_digest, is_intact, is_safe, is_transient
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import load_manifest, materialise
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.artifacts.storage.retries import Unanswered, attempt
from nerbench.tasks.publishing.card import merge

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, RepoFile
    from huggingface_hub.errors import HfHubHTTPError

README = "README.md"
EVAL_RESULTS = ".eval_results/nerbench.yaml"
"""The file of this folder that nerbench writes; others stay as they are."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_MOVED = (409, 412)
_MAX_CARD_BYTES = 1 << 20
Visibility = Literal["private", "public", "keep"]
"""Who may see a repository; `keep` does not change an existing repository, and a new one is private."""


class Publication(BaseModel):
    """A model on the Hub."""

    model_config = ConfigDict(frozen=True)

    repository: str
    """`org/name`."""
    url: str
    """The URL of the repository."""
    commit: str
    """The commit with the model and its card."""
    changed: bool
    """Whether the commit is new; False if the repository had the same content."""
    private: bool
    """Whether the repository is private."""
    files: tuple[str, ...]
    """The files that the commit added, changed or removed."""


class Head(NamedTuple):
    """The current state of a repository."""

    commit: str
    private: bool
    files: "dict[str, RepoFile]"
    card: str | None


class _HeadMoved(Unanswered):
    """Another client committed since the head was read."""


def check_request(repository: str, field: str = "--to") -> None:
    """Raise InputError for a name that the Hub would refuse, and if there is no token. Sends no request."""
    from huggingface_hub import get_token

    check_repository(repository, field)
    if not get_token():
        raise InputError("Hub", "there is no token to publish with", "set HF_TOKEN, or run `hf auth login`")


def check_repository(repository: str, field: str = "--to") -> None:
    """Raise InputError for a name that the Hub would refuse; `field` is the option or key that gave it."""
    if not _REPOSITORY.fullmatch(repository) or ".." in repository or "--" in repository or repository.endswith(".git"):
        raise InputError(f"{field} {repository!r}", "is not the name of a repository on the Hub", "write org/name")


def publish(  # noqa: PLR0913 - what is published, and how
    artifact: ArtifactRef,
    card: str,
    repository: str,
    *,
    visibility: Visibility | None,
    message: str | None,
    eval_results: str | None = None,
) -> Publication:
    """Commit the files of an artifact, its card and its evaluation results to a repository. A new repository is private
    unless `public`.

    An existing repository becomes `private` before the commit, or `public` after it. Without a `visibility`, a public
    repository is refused.

    Model files and evaluation results of an earlier publication that this one lacks are removed, so that a download is
    this artifact; other files are kept. The user's additions to the card are kept (see `card.merge`), up to 1 MiB. If
    nothing changes, there is no commit.

    Raises:
        InputError: the token is missing or insufficient, or the repository is public and `visibility` is None.
        ConflictError: other clients committed first at every attempt.
        StoreUnreachableError: the Hub did not answer.
        CorruptArtifactError: the artifact is damaged.
        UnsafeArtifactError: the artifact must not be loaded.
    """
    check_request(repository)
    folder = materialise(artifact)
    paths = [entry.path for entry in load_manifest(artifact).files]
    summary = message or f"Publish {artifact.exact_name}"
    sent: list[tuple[str, ...]] = []

    def once() -> Publication:
        try:
            head = _head(repository, visibility)
            operations = _changes(folder, paths, {README: merge(card, head.card), EVAL_RESULTS: eval_results}, head)
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
        # If the reply to a commit is lost, the next attempt finds the commit.
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
    with scratch_folder() as folder:
        path = client().hf_hub_download(repository, README, revision=commit, local_dir=folder)
        return Path(path).read_text(encoding="utf-8", errors="replace")


def _changes(
    folder: Path, paths: Sequence[str], texts: Mapping[str, str | None], head: Head
) -> "list[CommitOperationAdd | CommitOperationDelete]":
    """The operations that give a repository the files of a folder and these texts; a text of None is deleted."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    written = {path: text.encode("utf-8") for path, text in texts.items() if text is not None}
    stale = [path for path in head.files if (is_safe(path) or path in texts) and path not in {*paths, *written}]
    return [
        *(
            CommitOperationAdd(path_in_repo=path, path_or_fileobj=folder / path)
            for path in paths
            if path not in head.files or not is_intact(folder / path, head.files[path])
        ),
        *(
            CommitOperationAdd(path_in_repo=path, path_or_fileobj=data)
            for path, data in written.items()
            if path not in head.files or head.files[path].blob_id != git_digest(data)
        ),
        *(CommitOperationDelete(path_in_repo=path) for path in stale),
    ]


def _commit(
    repository: str, operations: "Sequence[CommitOperationAdd | CommitOperationDelete]", head: Head, summary: str
) -> str:
    done = client().create_commit(repository, operations, commit_message=summary, parent_commit=head.commit)
    return done.oid


def _explained(error: Exception, repository: str) -> Exception:
    """An error of the Hub as one that is retried, or as one with a remedy for the user. Other errors do not change."""
    if is_transient(error):
        return Unanswered(f"{type(error).__name__}: {error}".partition("\n")[0])
    refusal = _refusal(error)
    if refusal is None:
        # the client raises ValueError if the Hub rejects metadata
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
    """The Hub's response in an error or its causes: uploads wrap it."""
    from huggingface_hub.errors import HfHubHTTPError

    while error is not None and not isinstance(error, HfHubHTTPError):
        error = error.__cause__
    return error
