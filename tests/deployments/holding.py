"""Holds a slot of the limit `gpu`, like a step on a GPU, until it is killed. The machine needs no GPU."""

import signal
from unittest.mock import patch

import torch
from prefect import flow

from nerbench.tasks.as_task import gpu_slots


@flow
def hold() -> None:
    """Print a line once the slot is held."""
    with patch("nerbench.tasks.as_task.resolve_device", lambda *_: torch.device("cuda")), gpu_slots("auto"):
        print("held", flush=True)
        signal.pause()


if __name__ == "__main__":
    hold()
