"""Hold a slot of the limit `gpu`, as a step on a GPU does, until killed; the machine needs none."""

import signal
from unittest.mock import patch

import torch
from prefect import flow

from nerbench.tasks.as_task import gpu_slots


@flow
def hold() -> None:
    """Say so when it is held."""
    with patch("nerbench.tasks.as_task.resolve_device", lambda *_: torch.device("cuda")), gpu_slots("auto"):
        print("held", flush=True)
        signal.pause()


if __name__ == "__main__":
    hold()
