"""The GPUs that a step waits for."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.concurrency.sync import concurrency

from nerbench.tasks.inference.loading import resolve_device

GPU_LIMIT, GPU_LEASE_S = "gpu", 60.0


@contextmanager
def gpu_slots(device: str, field: str = "benchmark.device", *, gpus: int = 1) -> Iterator[None]:
    """Meanwhile, slots of the global concurrency limit `gpu` are held, if the device is a GPU and that limit exists.

    A living process renews the lease; from a killed one Prefect takes the slots back when it has run out.
    """
    if resolve_device(device, field).type != "cuda":
        yield
        return
    with concurrency(GPU_LIMIT, occupy=gpus, lease_duration=GPU_LEASE_S):
        yield
