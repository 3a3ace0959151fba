"""What is found in a store: a line of its listing, and what reading it again told."""

from pydantic import AwareDatetime

from nerbench.artifacts.manifest import ArtifactKey, Record


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
