"""The checks of `nerbench doctor`: everything that a run needs, including a Prefect server; and the gate audit."""

import time
from typing import Any

from nerbench.flows import server
from nerbench.flows.launch import quiet
from nerbench.flows.terminal import print_note
from nerbench.tasks.config import Config
from nerbench.tasks.doctor import Check, checks


def diagnose(config: Config) -> list[dict[str, Any]]:
    """All checks, in the order in which a run needs them."""
    return [check._asdict() for check in (*checks(config.store, config.results), _prefect())]


def audit(config: Config, reference: str | None) -> dict[str, Any]:
    """Whether every gate detects the fault planted for it: the output of `doctor --audit --json`.

    `reference` names one model; by default, the newest one in the store. The audit needs no Prefect server.
    """
    quiet()
    from nerbench.tasks.audit import audit as audits
    from nerbench.tasks.data.demo import prepare_demo

    artifact = audits.find_model(config.store, reference)
    prepare_demo(config)
    found = audits.audit(config, artifact, print_note)
    about = {name: value for name, value in found._asdict().items() if name != "outcomes"}
    return {"ok": found.ok, **about, "faults": [outcome._asdict() for outcome in found.outcomes]}


def _prefect() -> Check:
    """Whether Prefect answers: the configured server, or the one that a run would start."""
    quiet()
    from prefect.client.orchestration import get_client

    started = time.perf_counter()
    remedy = "free some of this machine, or make room in PREFECT_HOME, and try again"
    if server.is_configured():
        remedy = "start the server at PREFECT_API_URL, or unset it so that nerbench starts one"
    try:
        server.start()
        with server.ready(), get_client(sync_client=True) as client:
            version = client.api_version()
    except Exception as error:
        return Check("prefect server", False, f"{type(error).__name__}: {error}", remedy)
    return Check("prefect server", True, f"version {version} answered in {time.perf_counter() - started:.1f} s", "")
