"""The S3 server of the tests decides races like S3: one of several conditional writes of a key succeeds."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from urllib.parse import urlparse

import pytest
from s3_server import BUCKET, Server, running_s3

WRITERS, RACES = 8, 150
SERVER = Path(__file__).with_name("serial_moto.py")
OFTEN = "import runpy, sys; sys.setswitchinterval(1e-5); runpy.run_path(sys.argv.pop(1), run_name='__main__')"
"""The switch interval of threads with which plain moto lets two writers win about one of 40 races."""
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"}


def put(connection: HTTPConnection, key: str, body: str, headers: dict[str, str]) -> tuple[int, str]:
    """Status and ETag."""
    connection.request("PUT", f"/{BUCKET}/{key}", body.encode(), SIGNED | headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.getheader("ETag", "")


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["If-None-Match", "If-Match"])
def test_one_of_several_conditional_writes_succeeds(condition: str) -> None:
    together = Barrier(WRITERS, timeout=240)
    with running_s3(Server((sys.executable, "-c", OFTEN, str(SERVER), "PORT"), {})):
        host = urlparse(os.environ["AWS_ENDPOINT_URL"]).netloc
        first = HTTPConnection(host)
        expected = ["*"] * RACES
        if condition == "If-Match":
            expected = [put(first, f"key-{turn}", "first", {})[1] for turn in range(RACES)]

        def write(number: int) -> list[int]:
            connection = HTTPConnection(host)
            statuses = []
            for turn in range(RACES):
                together.wait()
                statuses.append(put(connection, f"key-{turn}", f"by {number}", {condition: expected[turn]})[0])
            return statuses

        with ThreadPoolExecutor(WRITERS) as pool:
            races = list(zip(*pool.map(write, range(WRITERS)), strict=True))
    assert [sorted(statuses) for statuses in races] == [[200] + [412] * (WRITERS - 1)] * RACES
