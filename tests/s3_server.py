"""An S3 server on loopback for tests: its process, and the environment variables for clients."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import pytest

BUCKET = "nerbench-tests"
_START_S = 240


class Server(NamedTuple):
    """The command that starts a server; `PORT` stands for its port."""

    command: tuple[str, ...]
    environment: dict[str, str]


MOTO = Server(
    (sys.executable, str(Path(__file__).with_name("serial_moto.py")), "PORT"),
    {"MOTO_S3_DEFAULT_MAX_KEYS": "10"},  # so that every longer listing has several pages
)


def ministack(python: Path) -> Server:
    """Another server, which checks digests; `python` is the interpreter of its environment."""
    environment = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": "PORT", "LOG_LEVEL": "ERROR"}
    return Server((str(python), "-m", "ministack"), environment)


@contextmanager
def running_s3(server: Server = MOTO) -> Iterator[str]:
    """The URL of a bucket. Within the context, credentials and endpoint are in the environment of all processes."""
    port = _free_port()
    command = [part.replace("PORT", str(port)) for part in server.command]
    environment = os.environ | {name: value.replace("PORT", str(port)) for name, value in server.environment.items()}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as process:
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
    pytest.fail("the S3 server does not start")
