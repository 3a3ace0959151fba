"""Serve the deployments of `deployments/prefect.yaml` from one process, with the Prefect server that is configured.

    cd /where/nerbench.yaml/lies && python /path/to/deployments/serve.py

Runs read `nerbench.yaml` here, each time anew. `nerbench serve` brings the server along.
"""

from prefect import serve

from flows.serving import deployments

if __name__ == "__main__":
    serve(*deployments(), limit=1)
