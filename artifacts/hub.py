"""Models of the Hugging Face Hub as local folders, at one commit."""

import re
from pathlib import Path
from typing import NamedTuple

from artifacts.errors import ArtifactNotFoundError, InputError
from artifacts.folder import SAFE_FILES

SCHEME = "hf://"
_LOCATION = re.compile(r"hf://(?P<model>[\w.-]+/[\w.-]+)(@(?P<revision>[^@]+))?")


class HubSnapshot(NamedTuple):
    """A model of the Hub in the Hub's local cache."""

    model: str
    """`org/model`."""
    commit: str
    """What the branch or tag meant when it was asked for."""
    folder: Path
    """Its safe files."""


def snapshot(location: str) -> HubSnapshot:
    """Download `hf://org/model[@revision]`, or find it in the Hub's cache when offline.

    Raises ArtifactNotFoundError where neither has it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    match = _LOCATION.fullmatch(location)
    if not match:
        raise InputError(
            f"model {location!r}", "is no location on the Hub", "write hf://org/model or hf://org/model@revision"
        )
    try:
        folder = snapshot_download(match["model"], revision=match["revision"], allow_patterns=list(SAFE_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, ValueError) as error:
        problem = f"cannot be had from the Hub ({type(error).__name__})"
        remedy = "check the name, the revision, the network and, for a private model, `hf auth login`"
        raise ArtifactNotFoundError(f"model {location!r}", problem, remedy) from error
    return HubSnapshot(match["model"], Path(folder).name, Path(folder))
