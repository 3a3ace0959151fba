"""Alerts are removed with their deployments, and lost runs are ended without alerts."""

from datetime import timedelta
from typing import Any

import pytest

from nerbench.flows.alerts import (
    ENDED,
    FORMER_NAME,
    HEARTBEAT,
    NEVER_STARTED,
    SILENT,
    lost_run,
    run_that_never_started,
)


def test_a_run_of_nerbench_without_heartbeats_is_crashed() -> None:
    wanted = lost_run(SILENT).model_dump(mode="json")
    trigger, (action,) = wanted["trigger"], wanted["actions"]
    assert (trigger["posture"], trigger["after"]) == ("Proactive", [HEARTBEAT])
    assert trigger["within"] == SILENT.total_seconds()
    assert set(trigger["expect"]) == {HEARTBEAT, *ENDED}, "one of these says that the run lives or has ended"
    assert trigger["for_each"] == ["prefect.resource.id"]
    assert trigger["match_related"]["prefect.resource.id"] == "prefect.tag.nerbench"
    assert (action["type"], action["state"], action["force"]) == ("change-flow-run-state", "CRASHED", False)


def test_a_run_that_stays_pending_is_crashed() -> None:
    wanted = run_that_never_started(NEVER_STARTED).model_dump(mode="json")
    trigger, (action,) = wanted["trigger"], wanted["actions"]
    assert (trigger["posture"], trigger["after"]) == ("Proactive", ["prefect.flow-run.Pending"])
    assert set(trigger["expect"]) >= {"prefect.flow-run.Running", HEARTBEAT, *ENDED}
    assert trigger["within"] == NEVER_STARTED.total_seconds()
    assert trigger["match_related"]["prefect.resource.id"] == "prefect.tag.nerbench"
    assert (action["type"], action["state"], action["force"]) == ("change-flow-run-state", "CRASHED", False)


def test_three_heartbeats_are_missed_before_a_run_counts_as_lost() -> None:
    from prefect.settings.models.flows import FlowsSettings

    assert SILENT.total_seconds() == 3 * FlowsSettings.model_fields["heartbeat_frequency"].default


@pytest.mark.e2e
def test_the_automation_that_ends_lost_runs_is_replaced_only_if_it_differs(prefect_server: None) -> None:
    from prefect.client.orchestration import get_client

    from nerbench.flows.alerts import end_lost_runs

    def automation() -> Any:
        with get_client(sync_client=True) as client:
            assert client.read_automations_by_name(FORMER_NAME) == []
            (found,) = client.read_automations_by_name("nerbench: a run is lost")
        return found

    with get_client(sync_client=True) as client:
        client.create_automation(lost_run(SILENT).model_copy(update={"name": FORMER_NAME}))
    end_lost_runs(timedelta(hours=1))
    other = automation()
    end_lost_runs()
    first = automation()
    end_lost_runs()
    assert (first.trigger.within, automation().id) == (SILENT, first.id)
    assert other.id != first.id


@pytest.mark.e2e
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
