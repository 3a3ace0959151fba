"""What `nerbench doctor` checks: everything a run needs, the Prefect server included."""

import time
from typing import Any

from flows.launch import quiet
from tasks.config import Config
from tasks.doctor import Check, checks


def diagnose(config: Config) -> list[dict[str, Any]]:
    """All checks, in the order in which a run needs them."""
    return [check._asdict() for check in (*checks(config.store, config.results), _prefect())]


def _prefect() -> Check:
    """Whether Prefect answers: the configured server, or one started for the moment."""
    quiet()
    from prefect.client.orchestration import get_client

    started = time.perf_counter()
    remedy = "start one with `prefect server start`, or unset PREFECT_API_URL for one of our own"
    try:
        with get_client(sync_client=True) as client:
            version = client.api_version()
    except Exception as error:
        return Check("prefect server", False, f"{type(error).__name__}: {error}", remedy)
    return Check("prefect server", True, f"version {version} answered in {time.perf_counter() - started:.1f} s", "")
