"""Ready-made run configurations and Prefect deployments, and the files of containers and work pools."""
