"""An S3 of our own on loopback: moto's server in a process, and the environment that leads to it."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

BUCKET = "nerbench-tests"
_START_S = 60


@contextmanager
def running_s3() -> Iterator[str]:
    """The URL of a bucket; meanwhile credentials and endpoint are in the environment, for child processes too."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    paged = {**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": "10"}  # so that every longer listing is one of several pages
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=paged) as process:
        try:
            _await(process, port)
            endpoint = f"http://127.0.0.1:{port}"
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")).close()
            with pytest.MonkeyPatch.context() as patch:
                _set_environment(patch, endpoint)
                yield f"s3://{BUCKET}"
        finally:
            process.terminate()


def _set_environment(patch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        patch.setenv(name, value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = monotonic() + _START_S
    while monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            pass
        try:
            process.wait(timeout=0.02)
            break
        except subprocess.TimeoutExpired:
            pass
    pytest.fail("moto's server does not start")
