"""Make the Prefect server call a webhook if a run fails or crashes, or if a nightly run is missing.

Run it after `prefect deploy`: NERBENCH_ALERT_URL=https://hooks.example.org/… python deployments/alerts.py
"""

import os
import sys

from nerbench.artifacts.errors import InputError
from nerbench.flows.alerts import create_alerts

if __name__ == "__main__":
    if not (url := os.environ.get("NERBENCH_ALERT_URL")):
        sys.exit("NERBENCH_ALERT_URL: is not set; export the URL of a webhook")
    try:
        create_alerts(url)
    except InputError as error:
        sys.exit(str(error))
