"""Prefect automations: one ends runs whose process is lost, the others call a webhook if a run fails or is missing.

The Prefect server runs the automations, so nothing happens while it is down.
"""

import json
import re
from collections.abc import Collection
from datetime import timedelta
from typing import cast
from uuid import UUID

from prefect.automations import AutomationCore, CallWebhook, ChangeFlowRunState, EventTrigger, Posture
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.automations import Automation
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.secrets import url_credential

Labels = dict[str, str | list[str]]
WEBHOOK = "nerbench-alert"
TAG, NIGHTLY_TAG = "nerbench", "nightly"
"""The tags of all deployments in `deployments/prefect.yaml`, and of those that must run every night."""
OVERDUE = timedelta(hours=26)
"""A nightly run is missing if no run has ended for this long: a day, and two hours for the run itself."""
SILENT = timedelta(minutes=9)
"""A run counts as crashed after this long without a heartbeat; it should have sent three in this time."""
NEVER_STARTED = timedelta(hours=24)
"""A run counts as crashed after this long as `Pending`. It may wait that long for a machine of a cluster."""
HEARTBEAT = "prefect.flow-run.heartbeat"
PENDING = "prefect.flow-run.Pending"
FAILED = frozenset({"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"})
ENDED = FAILED | {"prefect.flow-run.Completed", "prefect.flow-run.Cancelled"}
LEFT_PENDING = ENDED | {
    HEARTBEAT,  # a server that is killed can lose the event of the state
    *(f"prefect.flow-run.{one}" for one in ("Running", "Scheduled", "AwaitingConcurrencySlot", "Late", "Cancelling")),
}
"""The events that show that a run is no longer `Pending`."""
_RUNS: Labels = {"prefect.resource.id": "prefect.flow-run.*"}
_OF_OURS: Labels = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
_MISSING = re.compile(r"nerbench: .* is missing \(([0-9a-f-]{36})\)")
"""The name of a `missing_alert`."""
FORMER_NAME = "nerbench: a run is dead"
"""The name of `lost_run` in nerbench 0.2 and before."""
PAGE = 200
"""Page size of requests for automations."""
_MESSAGE = "{{ ('nerbench: ' ~ flow_run.name ~ ': ' ~ flow_run.state.name ~ ': ' ~ flow_run.state.message) | tojson }}"


def end_lost_runs(silent: timedelta = SILENT, pending: timedelta = NEVER_STARTED) -> None:
    """Make the server set runs to `Crashed` that send no heartbeats or stay `Pending`, e.g. after a machine is lost.

    `nerbench serve` calls this, and `prefect deploy` as a step of `deployments/prefect.yaml`. An automation that does
    the same already is kept: a new one would not know which runs have sent heartbeats, or are pending.
    """
    with get_client(sync_client=True) as client:
        for before in client.read_automations_by_name(FORMER_NAME):
            client.delete_automation(before.id)
        for wanted in (lost_run(silent), run_that_never_started(pending)):
            found = client.read_automations_by_name(wanted.name)
            if [(one.trigger, one.actions) for one in found] != [(wanted.trigger, wanted.actions)]:
                _replace(client, wanted)


def create_alerts(url: str, *, overdue: timedelta = OVERDUE) -> None:
    """Make the server post `{"text": …}` to `url`, and replace earlier alerts. The deployments must already exist.

    The server stores the URL as a secret. The text for a failed run gives the cause, including the verdicts of a gate.
    A run whose machine is gone becomes `Crashed` (`end_lost_runs`), which also causes an alert. Raises InputError for a
    URL with a user or a signature, because such URLs end up in logs.
    """
    if kind := url_credential(url):
        raise InputError("NERBENCH_ALERT_URL", f"holds a credential ({kind})", "use a webhook whose path is the secret")
    webhook = Webhook(url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"}))
    action = cast(UUID, webhook.save(WEBHOOK, overwrite=True))
    end_lost_runs()
    with get_client(sync_client=True) as client:
        _remove_orphans(client)
        _replace(client, failure_alert(action))
        tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG, NIGHTLY_TAG]))
        for nightly in client.read_deployments(deployment_filter=tagged):
            _replace(client, missing_alert(action, nightly, overdue))


def failure_alert(webhook: UUID) -> AutomationCore:
    """The alert for a nerbench run that failed, crashed or timed out."""
    trigger = EventTrigger(expect=set(FAILED), match=_RUNS, match_related=_OF_OURS)
    call = CallWebhook(block_document_id=webhook, payload=f'{{"text": {_MESSAGE}}}')
    return AutomationCore(name="nerbench: a run failed", trigger=trigger, actions=[call])


def lost_run(silent: timedelta) -> AutomationCore:
    """The automation that sets a nerbench run to `Crashed` if it has sent heartbeats and then none for `silent`."""
    crash = _crashing(f"no heartbeat for {silent}")
    trigger = _awaited(after=HEARTBEAT, expect={HEARTBEAT, *ENDED}, within=silent)
    return AutomationCore(name="nerbench: a run is lost", trigger=trigger, actions=[crash])


def run_that_never_started(pending: timedelta) -> AutomationCore:
    """The automation that sets a nerbench run to `Crashed` if its process is lost before its first heartbeat."""
    crash = _crashing(f"pending for {pending}")
    trigger = _awaited(after=PENDING, expect=LEFT_PENDING, within=pending)
    return AutomationCore(name="nerbench: a run never started", trigger=trigger, actions=[crash])


def _awaited(*, after: str, expect: Collection[str], within: timedelta) -> EventTrigger:
    """The trigger for nerbench runs of which no expected event follows the event `after` in time."""
    return EventTrigger(
        after={after},
        expect=set(expect),
        match=_RUNS,
        match_related=_OF_OURS,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        within=within,
    )


def _crashing(message: str) -> ChangeFlowRunState:
    return ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message, force=False)


def missing_alert(webhook: UUID, nightly: DeploymentResponse, overdue: timedelta) -> AutomationCore:
    """The alert for a deployment of which no run has ended for too long."""
    of_nightly: Labels = {
        "prefect.resource.role": "deployment",
        "prefect.resource.id": f"prefect.deployment.{nightly.id}",
    }
    trigger = EventTrigger(
        expect=set(ENDED),
        match=_RUNS,
        match_related=of_nightly,
        posture=Posture.Proactive,
        within=overdue,
    )
    text = f"nerbench: no run of the deployment {nightly.name} has ended for {overdue}"
    # The payload is a Jinja template. A literal in it is text, whatever the name of the deployment contains.
    call = CallWebhook(block_document_id=webhook, payload=f'{{"text": {{{{ {json.dumps(text)} | tojson }}}}}}')
    return AutomationCore(name=f"nerbench: {nightly.name} is missing ({nightly.id})", trigger=trigger, actions=[call])


def _remove_orphans(client: SyncPrefectClient) -> None:
    """Remove the alerts of deleted deployments, which would otherwise fire forever."""
    alerts: list[Automation] = []
    while page := client.read_automations(limit=PAGE, offset=len(alerts)):
        alerts += page
    for alert in alerts:
        if (of := _MISSING.fullmatch(alert.name)) and not _exists(client, UUID(of[1])):
            client.delete_automation(alert.id)


def _exists(client: SyncPrefectClient, deployment: UUID) -> bool:
    try:
        client.read_deployment(deployment)
    except ObjectNotFound:
        return False
    return True


def _replace(client: SyncPrefectClient, automation: AutomationCore) -> None:
    for before in client.read_automations_by_name(automation.name):
        client.delete_automation(before.id)
    client.create_automation(automation)
