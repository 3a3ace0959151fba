"""Run work in a child process with its own process group, and hear its progress as JSON lines.

Training and measuring happen in children: a crash, a leak or a stuck library dies with the child, and the whole group can be
killed. A child module ends with `serve(work)`, where `work(job, emit)` returns a JSON-able result.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from typing import Any

from artifacts.errors import InputError, NerbenchError, RunFailedError

Job = dict[str, Any]
Emit = Callable[[Job], None]
GRACE_S = 5.0


def run_child(module: str, job: Job, *, what: str, on_event: Emit = lambda event: None) -> Job:
    """Run `python -m module` on a job and return its result.

    Raises InputError where the child found the request wrong, RunFailedError where it failed or died. However this function
    is left (an exception of `on_event` and a cancelled thread included), the child's process group is gone afterwards.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
            env={**os.environ, "NERBENCH_PARENT": str(os.getpid())},
        )
        try:
            last = _listen(process, job, on_event)
            process.wait()
        finally:
            _end_group(process)
        if last.get("event") == "result":
            result: Job = last["result"]
            return result
        raise _failure(what, last, process.returncode, _tail(stderr))


def _listen(process: "subprocess.Popen[str]", job: Job, on_event: Emit) -> Job:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdin as stdin:
            json.dump(job, stdin)
    except BrokenPipeError:
        return {}
    last: Job = {}
    for line in process.stdout:
        last = json.loads(line)
        if last["event"] not in {"result", "input_error", "error"}:
            on_event(last)
    return last


def _failure(what: str, last: Job, status: int, stderr: str) -> NerbenchError:
    if last.get("event") == "input_error":
        return InputError(last["field"], last["problem"], last["remedy"])
    if last.get("event") == "error":
        return RunFailedError(f"{what} failed: {last['message']}")
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (the system may have run out of memory)" if -status == signal.SIGKILL else ""
        return RunFailedError(f"{what} was killed by {name}{hint}")
    return RunFailedError(f"{what} ended with status {status} and no result: {stderr}")


def _tail(stderr: Any) -> str:
    stderr.seek(0)
    return " | ".join(stderr.read().strip().splitlines()[-3:])


def _end_group(process: "subprocess.Popen[str]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_S)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def serve(work: Callable[[Job, Emit], Job]) -> None:
    """The child's side: read the job from stdin, write events and the result to stdout, and die with the parent."""
    _die_with_parent()
    with os.fdopen(os.dup(1), "w", buffering=1) as events:
        os.dup2(2, 1)  # what libraries print must not end up among the events
        lock = threading.Lock()

        def emit(event: Job) -> None:
            with lock:
                events.write(json.dumps(event) + "\n")

        try:
            emit({"event": "result", "result": work(json.load(sys.stdin), emit)})
        except InputError as error:
            emit({"event": "input_error", "field": error.field, "problem": error.problem, "remedy": error.remedy})
        except Exception as error:
            traceback.print_exc()
            emit({"event": "error", "message": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})


def _die_with_parent() -> None:
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != int(os.environ.get("NERBENCH_PARENT", os.getppid())):
        os._exit(1)  # the parent was gone before the kernel knew of our wish
