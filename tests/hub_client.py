"""Redirects the Hub's client, which reads its environment only on import, to a fake Hub."""

import os
from pathlib import Path

import pytest
from hub_server import TOKEN, FakeHub


def use_hub(patch: pytest.MonkeyPatch, hub: FakeHub, home: Path, token: str | None = TOKEN) -> None:
    """Use this Hub in the test, with a separate cache, no login, and no pauses."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        patch.delenv(name)
    patch.setenv("HF_ENDPOINT", hub.url)
    if token:
        patch.setenv("HF_TOKEN", token)
    for name, value in {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_OFFLINE": False,
    }.items():
        patch.setattr(f"huggingface_hub.constants.{name}", value)
    patch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    patch.setattr("nerbench.artifacts.storage.retries.sleep", lambda seconds: None)
