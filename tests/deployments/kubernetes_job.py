"""Prints the Kubernetes job of a run, as Prefect's worker makes it from `deployments/kubernetes-job.json`.

Runs in the environment `.venv-kubernetes`, which has `prefect-kubernetes`; `test_kubernetes.py` reads the output.
"""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from prefect.client.schemas.objects import FlowRun
from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration


def main(template: Path, variables: str) -> None:
    configuration = asyncio.run(
        KubernetesWorkerJobConfiguration.from_template_and_values(
            json.loads(template.read_text()), json.loads(variables)
        )
    )
    now = datetime.now(UTC)
    configuration.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="nightly", created=now, updated=now))
    job = configuration.job_manifest
    job["metadata"]["name"] = f"{job['metadata']['generateName']}0"  # which the cluster generates
    print(json.dumps(job))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
