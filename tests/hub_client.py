"""Leads the Hub's client, which reads its environment once when it is imported, to a Hub of our own."""

import os
from pathlib import Path

import pytest
from hub_server import TOKEN, FakeHub


def hub_environment(hub: FakeHub, home: Path, token: str | None = TOKEN) -> dict[str, str]:
    """For child processes: this Hub, a cache and no login of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    ours = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return kept | ours | ({"HF_TOKEN": token} if token else {})


def use_hub(patch: pytest.MonkeyPatch, hub: FakeHub, home: Path, token: str | None = TOKEN) -> None:
    """For this process: the same."""
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
    patch.setattr("artifacts.retries.sleep", lambda seconds: None)
