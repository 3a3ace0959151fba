"""Serve the deployments of `deployments/prefect.yaml` from one process, with the Prefect server that is configured.

    cd /folder/of/nerbench.yaml && python /path/to/deployments/serve.py

Each run reads `nerbench.yaml` here when it starts. This script needs a Prefect server; `nerbench serve` starts one.
Both refuse to replace a deployment of the same name that belongs to another user, machine or running process.
"""

import sys

from prefect import serve

from nerbench.artifacts.errors import InputError
from nerbench.flows.alerts import end_lost_runs
from nerbench.flows.serve import claim, deployments

if __name__ == "__main__":
    served = deployments()
    try:
        claim(served, ours=False)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    end_lost_runs()
    serve(*served, limit=1)
