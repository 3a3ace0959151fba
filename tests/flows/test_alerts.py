"""Alerts are removed with their deployments."""

from datetime import timedelta

import pytest

pytestmark = pytest.mark.e2e


def test_the_alert_of_a_deleted_deployment_is_removed(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client

    from nerbench.flows.alerts import create_alerts, failure_alert

    with get_client(sync_client=True) as client:
        flow = client.create_flow_from_name("benchmark")
        kept, gone = (
            client.create_deployment(flow, name, tags=["nerbench", "nightly"]) for name in ("kept", "to-be-deleted")
        )

        def missing() -> set[str]:
            return {one.name for one in client.read_automations() if "is missing" in one.name}

        create_alerts("http://127.0.0.1:9/nobody", overdue=timedelta(days=1))
        names = {f"nerbench: kept is missing ({kept})", f"nerbench: to-be-deleted is missing ({gone})"}
        assert missing() >= names
        foreign = failure_alert(kept).model_copy(update={"name": f"my alert, nerbench: x is missing ({gone})"})
        client.create_automation(foreign)
        client.delete_deployment(gone)
        create_alerts("http://127.0.0.1:9/nobody", overdue=timedelta(days=1))
        assert f"nerbench: kept is missing ({kept})" in missing()
        assert f"nerbench: to-be-deleted is missing ({gone})" not in missing()
        assert foreign.name in missing(), "what somebody else made"
        client.delete_deployment(kept)
