"""The server of `nerbench serve`, for attackers: it has a deployment whose runs execute code."""

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from prefect_site import client_of

SCRIPT = """
import sys
from nerbench.flows.server import served_at
with served_at(int(sys.argv[1])) as served:
    print(served.environment, served.page, flush=True)
    input()
"""
CODE = {"config": {"datasets": [{"name": "x", "loader": "subprocess:check_output", "options": {"args": ["id"]}}]}}
"""The parameters of a run that runs a command."""
WEBHOOK = "https://hooks.example.org/planted-secret"


class Target(NamedTuple):
    """A server, with the secrets of its owner."""

    port: int
    home: Path
    process: "subprocess.Popen[str]"
    credential: str
    link: str
    """The link that opens its pages."""
    deployment: str
    """The id of a deployment."""
    block: str
    """The id of the block with the webhook's URL."""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def runs(self) -> list[dict[str, Any]]:
        """The parameters of every run."""
        with client_of(f"{self.origin}/api", self.credential) as client:
            return [run.parameters for run in client.read_flow_runs()]


def planted(api: str, credential: str) -> tuple[str, str]:
    """The ids of a deployment of the benchmark, and of the alerts' block."""
    from nerbench.flows.alerts import create_alerts

    with client_of(api, credential) as client:
        flow = client.create_flow_from_name("benchmark")
        deployment = client.create_deployment(flow, "on-demand", entrypoint="nerbench.flows.benchmark.benchmark")
        create_alerts(WEBHOOK)
        block = client.read_block_document_by_name("nerbench-alert", "webhook")
    return str(deployment), str(block.id)
