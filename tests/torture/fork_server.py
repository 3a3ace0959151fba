"""Makes hundreds of processes to kill: a server with one thread imports everything once, then forks.

`ForkServer` is its client. Run as a program, this file is the server, with one JSON request and reply per line.
"""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

_TESTS = Path(__file__).resolve().parents[1]


class Life(NamedTuple):
    """The work of a process before it ended."""

    acknowledged: list[Any]
    """The results of the steps that returned, in order."""
    killed: bool
    """Whether it killed itself."""
    points: list[str]
    """The calls at which it could have been killed; empty if it was."""


class ForkServer:
    """Runs steps (see `killed_steps`) in separate processes."""

    def __init__(self) -> None:
        folders = [_TESTS.parent, _TESTS, _TESTS / "artifacts", _TESTS / "torture"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def run(self, steps: list[list[Any]], inside: str, kill_at: int = 0) -> Life:
        """Do the steps (a name and its arguments each) in a new process that is killed at its `kill_at`-th call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        environment["NERBENCH_CACHE"] = f"{inside}/cache"
        request = {"steps": steps, "inside": inside, "kill_at": kill_at, "environment": environment}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        assert reply["error"] is None, reply["error"]
        return Life(reply["acknowledged"], reply["killed"], reply["points"])


def _serve() -> None:
    import killed_steps  # noqa: F401 - imported before the first fork
    import s3fs  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(_fork(json.loads(line))), flush=True)


def _fork(request: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.close(reading)
        _live(request, writing)
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = [json.loads(line) for line in stream]
    _, status = os.waitpid(child, 0)
    reply: dict[str, Any] = {
        "acknowledged": [line["did"] for line in lines if "did" in line],
        "points": [],
        "error": None,
    }
    reply["killed"] = os.WIFSIGNALED(status)
    for line in lines:
        reply |= {name: value for name, value in line.items() if name != "did"}
    return reply


def _live(request: dict[str, Any], writing: int) -> None:
    from failpoints import Failpoints
    from killed_steps import STEPS

    write = os.write  # before counting starts
    os.environ.update(request["environment"])
    points = Failpoints(request["inside"], request["kill_at"])
    points.install()
    try:
        for name, *arguments in request["steps"]:
            did = STEPS[name](*arguments)
            points.reach(f"{name} returned")
            write(writing, (json.dumps({"did": did}) + "\n").encode())
        write(writing, (json.dumps({"points": points.names}) + "\n").encode())
    except BaseException:
        write(writing, (json.dumps({"error": traceback.format_exc()}) + "\n").encode())
    os._exit(0)


if __name__ == "__main__":
    _serve()
