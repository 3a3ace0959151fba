"""Serve the deployments of `deployments/prefect.yaml` from one process, with the Prefect server that is configured.

    cd /where/nerbench.yaml/lies && python /path/to/deployments/serve.py

Runs read `nerbench.yaml` here, at each start. `nerbench serve` brings the server along. As there, a deployment of the
same name that belongs to another ownse is refused.
"""

import sys

from prefect import serve

from nerbench.artifacts.errors import InputError
from nerbench.flows.serve import claim, deployments

if __name__ == "__main__":
    served = deployments()
    try:
        claim(served, ours=False)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    serve(*served, limit=1)
