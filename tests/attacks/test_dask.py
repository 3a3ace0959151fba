"""Dask sends pickles: a fake scheduler, or a listener on the way to it, could run code."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import ValidationError

from nerbench.flows.task_runners import task_runner
from nerbench.tasks.config import RunnerConfig

pytestmark = pytest.mark.attacks


@pytest.mark.parametrize(
    "address",
    [
        "tcp://scheduler:8786",
        "tcp://10.0.0.7:8786",
        "ws://scheduler:8786",
        "ucx://scheduler:8786",
        "tcp://127.0.0.1.evil.example:8786",
        "tcp://127.0.0.1@evil.example:8786",
        "tcp://localhost.evil.example:8786",
        "tcp://0.0.0.0:8786",
        "tcp://[::]:8786",
        "tls+tcp://scheduler:8786",
    ],
)
def test_a_remote_scheduler_without_tls(address: str) -> None:
    with pytest.raises(ValidationError, match=r"is not protected|is not an address"):
        RunnerConfig(kind="dask", address=address)


@pytest.mark.parametrize(
    "address", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786", "tls://scheduler:8786", "wss://a:1"]
)
@pytest.mark.legitimate
def test_loopback_and_tls_are_accepted(address: str) -> None:
    assert RunnerConfig(kind="dask", address=address).address == address


def test_another_user_cannot_send_code_to_the_workers_of_a_run() -> None:
    """A client without the certificates of the cluster is refused, even on loopback."""
    with ThreadPoolExecutor(1) as thread:  # Playwright leaves an event loop in the main thread, which Dask would use
        thread.submit(_connect_with_and_without_certificates).result()


def _connect_with_and_without_certificates() -> None:
    from distributed import Client, LocalCluster

    options = task_runner(RunnerConfig(kind="dask", workers=1), remote=False).cluster_kwargs
    with LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tls://127.0.0.1:")
        for spoken in (address, address.replace("tls://", "tcp://")):
            with pytest.raises((OSError, TypeError)):
                Client(spoken, timeout=2, set_as_default=False)
        with Client(cluster, set_as_default=False) as client:
            assert client.submit(abs, -1).result() == 1
