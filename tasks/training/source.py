"""What a training starts from, known by content: two bases that lie at one path in turn are two bases."""

from pathlib import Path

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.folder import refuse_unsafe
from nerbench.artifacts.manifest import BaseSource
from nerbench.artifacts.storage import hub
from nerbench.artifacts.storage.filesystem import Root
from nerbench.tasks.config import ModelConfig


def base_source(model: ModelConfig) -> BaseSource | None:
    """The model that is fine-tuned, with its digest or commit; None for one that begins with random weights.

    Raises UnsafeArtifactError for a folder that must not be loaded, and like `hub.resolve` for a model of the Hub.
    """
    if not isinstance(model.base, str):
        return None
    if not Path(model.base).is_dir():
        return BaseSource(name=model.base, revision=hub.resolve(model.base, model.revision))
    refuse_unsafe(Root.open(model.base))
    return BaseSource(name=model.base, sha256=folder_sha256(model.base))


def folder_sha256(folder: str) -> str:
    """The `model_sha256` that a folder has if it is published, also of one that lacks what a published model needs."""
    root = Root.open(folder)
    return sha256_hex(canonical_json(sorted([file, root.sha256(file)] for file in root.files() if hub.is_safe(file))))
