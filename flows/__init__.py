"""Prefect flows. A flow is the list of its steps; the work is in `tasks`."""

if __name__ == "flows":  # by a deployment from before the package was named nerbench, in a folder of the sources
    raise ImportError(
        "nerbench's flows are nerbench.flows now, and this deployment still names flows; "
        "deploy again: prefect --no-prompt deploy --prefect-file deployments/prefect.yaml --all"
    )
