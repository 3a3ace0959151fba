"""The processes that train one model together, and their communication."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

from nerbench.tasks.config import ModelConfig
from nerbench.tasks.inference.loading import resolve_device
from nerbench.tasks.inference.processes import meeting


@dataclass(frozen=True)
class Ranks:
    """This process among those that train a model together."""

    number: int
    """Rank; process 0 writes."""
    count: int
    control: Any = None
    """The group for messages between hosts, which do not wait for an accelerator."""

    def broadcast(self, value: int) -> int:
        """The value of process 0, in all processes."""
        if self.count == 1:
            return value
        message = torch.tensor(value)
        distributed.broadcast(message, 0, group=self.control)
        return int(message)

    def all_gather(self, mine: Any) -> list[Any]:
        """The values of all processes, in order, in all processes."""
        if self.count == 1:
            return [mine]
        each: list[Any] = [None] * self.count
        distributed.all_gather_object(each, mine, group=self.control)
        return each

    def wait(self) -> None:
        """Wait until all processes get here."""
        if self.count > 1:
            distributed.barrier(group=self.control)


ALONE = Ranks(0, 1)


def training_device(model: ModelConfig) -> torch.device:
    """The device for training. A process only sees the GPUs that were chosen for it. Raises InputError."""
    return resolve_device("cuda" if model.device.startswith("cuda") else model.device, f"models: {model.name}: device")


@contextmanager
def ranks(model: ModelConfig) -> Iterator[Ranks]:
    """Connect to the other processes that train a model, if there are any."""
    if model.processes == 1:
        yield ALONE
        return
    with meeting(training_device(model).type) as state:
        together = Ranks(state.process_index, state.num_processes, distributed.new_group(backend="gloo"))
        yield together
        together.wait()
