"""The repositories of a fake Hub, with the content identifiers of Git and the Hub."""

import hashlib
from dataclasses import dataclass, field


@dataclass
class Repo:
    """The commits of a repository, the newest last; each is the files it holds, `path: bytes`."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.head]

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit; returns its digest."""
        digest = hashlib.sha1(f"{len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits[digest] = files
        return digest

    def at(self, revision: str) -> str | None:
        return self.head if revision == "main" else revision if revision in self.commits else None


def is_large(path: str) -> bool:
    """Whether Git stores a file by LFS."""
    return path.endswith(".safetensors")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_digest(data: bytes) -> str:
    return hashlib.sha1(b"blob " + str(len(data)).encode() + b"\0" + data).hexdigest()


def object_id(path: str, data: bytes) -> str:
    return sha256(data) if is_large(path) else git_digest(data)
