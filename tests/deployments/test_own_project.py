"""The how-to guide on Prefect projects, with a server and a worker: what is served, deployed and subscribed, runs."""

from pathlib import Path

import pytest
from how_to import blocks
from nightly_models import prepare
from prefect_site import Site, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_served_deployed_and_subscribed_flows_run(tmp_path: Path) -> None:
    _, serve, deploy, _, subscribe = blocks("own-prefect-project", "python")
    site = Site(tmp_path, server={})
    try:
        site.start_server()
        prepare(site.work)
        for name, code in (("serve", serve), ("deploy", deploy), ("subscribe", subscribe)):
            (site.work / f"{name}.py").write_text(code.replace("/srv/nerbench", str(site.work)))
        site.await_server()
        for name in ("serve", "subscribe"):
            site.start(name, f"{name}.py", cwd=site.work)
        site.prefect("work-pool", "create", "local", "--type", "process")
        site.ended(site.begin("deploy.py", cwd=site.work))
        site.start_worker()
        with site.client() as client:
            until(lambda: len(client.read_deployments()) == 3, "deployments", lambda: site.log("serve"))
        runs = [
            site.begin("-m", "prefect", "deployment", "run", f"benchmark/{name}", "--watch")
            for name in ("mine", "pooled")
        ]
        push = ("artifacts", "push", "new", "--name", "new", "--no-check")
        site.ended(site.begin("-m", "nerbench.flows.cli", *push, cwd=site.work))
        for run in runs:
            site.ended(run)

        def welcomed() -> bool:
            with site.client() as client:
                flows = {flow.id: flow.name for flow in client.read_flows()}
                ended = [run for run in client.read_flow_runs() if flows[run.flow_id] == "welcome"]
            return any(run.state_name == "Completed" and "new" in run.parameters["uri"] for run in ended)

        until(welcomed, "the subscriber's run", lambda: site.log("subscribe"))
    finally:
        site.end()
