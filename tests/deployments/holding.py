"""Hold a slot of the limit `gpu`, as a step on a GPU does, until killed; the machine needs none."""

import signal
from unittest.mock import patch

import torch
from prefect import flow

from tasks import steps


@flow
def hold() -> None:
    """Say so when it is held."""
    with patch("tasks.steps.resolve_device", lambda *_: torch.device("cuda")), steps._gpu_slot("auto"):
        print("held", flush=True)
        signal.pause()


if __name__ == "__main__":
    hold()
