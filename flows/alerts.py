"""Alerts: Prefect automations that call a webhook when a run fails or crashes, and when a night does not come.

They live on the Prefect server, so nothing is said while that is down.
"""

import json
import re
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
"""Of every deployment in `deployments/prefect.yaml`, and of those that must run every night."""
OVERDUE = timedelta(hours=26)
"""After so long without an end of any kind a night is missing: a day, and two hours for the run."""
SILENT = timedelta(minutes=9)
"""After so long without a heartbeat, of which a run should have sent three, its process is taken for dead."""
HEARTBEAT = "prefect.flow-run.heartbeat"
FAILED = frozenset({"prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"})
ENDED = FAILED | {"prefect.flow-run.Completed", "prefect.flow-run.Cancelled"}
_RUNS: Labels = {"prefect.resource.id": "prefect.flow-run.*"}
_OF_OURS: Labels = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
_MISSING = re.compile(r"nerbench: .* is missing \(([0-9a-f-]{36})\)")
"""The name of a `missing_alert`."""
PAGE = 200
"""Automations that are asked for at a time."""
_MESSAGE = "{{ ('nerbench: ' ~ flow_run.name ~ ': ' ~ flow_run.state.name ~ ': ' ~ flow_run.state.message) | tojson }}"


def create_alerts(url: str, *, overdue: timedelta = OVERDUE, silent: timedelta = SILENT) -> None:
    """Let the server post `{"text": …}` to `url`, in place of earlier alerts; needs the deployments to be there.

    The URL is kept as a secret. A failed run's text names what failed and why, a gate's verdicts included. A run whose
    machine is gone becomes `Crashed`, and so a failed one. Raises InputError for a URL with a user or a signature: such
    URLs end in logs.
    """
    if kind := url_credential(url):
        raise InputError(
            "NERBENCH_ALERT_URL", f"holds a credential ({kind})", "take a webhook whose path is the secret"
        )
    webhook = Webhook(url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"}))
    action = cast(UUID, webhook.save(WEBHOOK, overwrite=True))
    with get_client(sync_client=True) as client:
        _remove_orphans(client)
        _replace(client, failure_alert(action))
        _replace(client, dead_run(silent))
        tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG, NIGHTLY_TAG]))
        for nightly in client.read_deployments(deployment_filter=tagged):
            _replace(client, missing_alert(action, nightly, overdue))


def failure_alert(webhook: UUID) -> AutomationCore:
    """A run of ours failed, crashed or took too long."""
    trigger = EventTrigger(expect=set(FAILED), match=_RUNS, match_related=_OF_OURS)
    call = CallWebhook(block_document_id=webhook, payload=f'{{"text": {_MESSAGE}}}')
    return AutomationCore(name="nerbench: a run failed", trigger=trigger, actions=[call])


def dead_run(silent: timedelta) -> AutomationCore:
    """A run of ours gave no sign of life, as when its machine is gone: nobody else would ever end it."""
    trigger = EventTrigger(
        after={HEARTBEAT},
        expect={HEARTBEAT, *ENDED},
        match=_RUNS,
        match_related=_OF_OURS,
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        within=silent,
    )
    message = f"no sign of life for {silent}"
    crash = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=message, force=False)
    return AutomationCore(name="nerbench: a run is dead", trigger=trigger, actions=[crash])


def missing_alert(webhook: UUID, nightly: DeploymentResponse, overdue: timedelta) -> AutomationCore:
    """No run of a deployment has ended for too long."""
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
    # The payload is a template, which the name must not be part of: as a literal of it, it is text.
    call = CallWebhook(block_document_id=webhook, payload=f'{{"text": {{{{ {json.dumps(text)} | tojson }}}}}}')
    return AutomationCore(name=f"nerbench: {nightly.name} is missing ({nightly.id})", trigger=trigger, actions=[call])


def _remove_orphans(client: SyncPrefectClient) -> None:
    """Remove the alerts of deployments that were deleted: they would fire for ever."""
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
