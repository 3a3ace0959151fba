"""Runs work in a child process with its own process group, and receives its progress as JSON lines.

Training and measuring run in children: a crash, a leak or a stuck library ends with the child, and the whole group can
be killed. A child module ends with `serve(work)`, where `work(job, emit)` returns a JSON-able result.
"""

import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from nerbench.artifacts.errors import InputError, NerbenchError, RunFailedError, pass_interrupts
from nerbench.artifacts.secrets import redact

CALM = {"GOMP_SPINCOUNT": "1000", "TOKENIZERS_PARALLELISM": "true"}
"""Environment for arithmetic: threads that spin for long while they wait take cores of a shared machine from each
other."""

PARENT = "NERBENCH_PARENT"
"""The environment variable with the process id of a child's parent."""

Job = dict[str, Any]
Emit = Callable[[Job], None]
GRACE_S = 8.0
LAST = frozenset({"result", "input_error", "error"})
"""The events that end a child's report."""


def run_child(
    module: str, job: Job, *, what: str, on_event: Emit = lambda event: None, env: Mapping[str, str] | None = None
) -> Job:
    """Run `python -m module` on a job, with `env` added to the environment, and return its result.

    Raises InputError if the child reports an invalid request, and RunFailedError if it fails or dies. On every exit (an
    exception of `on_event` and a cancelled thread included), the child's process group has ended.
    """
    # Events have their own pipe, which keeps the output of libraries out, even during imports.
    reading, writing = os.pipe()
    with os.fdopen(reading, errors="replace") as events, tempfile.TemporaryFile("w+", errors="replace") as output:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
                pass_fds=(writing,),
                env={
                    **CALM,
                    **os.environ,
                    **(env or {}),
                    PARENT: str(os.getpid()),
                    "NERBENCH_EVENTS": str(writing),
                },
            )
        finally:
            os.close(writing)
        try:
            _give(process, job)
            last = _listen(events, on_event)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S if last else None)
        finally:
            end_group(process)
        if last.get("event") == "result":
            result: Job = last["result"]
            return result
        raise _failure(what, last, process.returncode, _tail(output))


def _give(process: "subprocess.Popen[str]", job: Job) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as stdin:
        json.dump(job, stdin)


def _listen(events: IO[str], on_event: Emit) -> Job:
    """Pass events on until the last one, and return that; `{}` if the child died before it."""
    for line in events:
        if not line.endswith("\n"):
            break  # the child died while writing
        event: Job = json.loads(line)
        if event["event"] in LAST:
            return event
        on_event(event)
    return {}


def _failure(what: str, last: Job, status: int, output: str) -> NerbenchError:
    if last.get("event") == "input_error":
        return InputError(last["field"], last["problem"], last["remedy"])
    if last.get("event") == "error":
        failure = RunFailedError(f"{what} failed: {' '.join(last['message'].split())}")
        if "traceback" in last:  # unless the child itself reported the problem
            failure.add_note(last["traceback"])
        return failure
    return RunFailedError(f"{what} {ending(status)}" if status < 0 else f"{what} {ending(status)}: {output}")


def ending(status: int) -> str:
    """How a process without a result ended."""
    if status >= 0:
        return f"ended with status {status} and no result"
    hint = " (the system may have run out of memory)" if -status == signal.SIGKILL else ""
    return f"was killed by {signal_name(-status)}{hint}"


def signal_name(number: int) -> str:
    """`SIGKILL`; or `signal 40`, because Python only names the first and the last of the real-time signals."""
    return {member.value: member.name for member in signal.Signals}.get(number, f"signal {number}")


def _tail(output: IO[str]) -> str:
    output.seek(0)
    return " | ".join(output.read().strip().splitlines()[-3:])


def end_group(process: "subprocess.Popen[Any]") -> None:
    """Stop a process that leads a group, and everything in that group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_S)
        except (ProcessLookupError, PermissionError):  # macOS refuses to signal a group of zombies
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def serve(work: Callable[[Job, Emit], Job]) -> None:
    """The child's side: read the job from stdin, write events and the result, and die with the parent."""
    die_with_parent()
    with os.fdopen(int(os.environ.get("NERBENCH_EVENTS", "1")), "w", buffering=1) as events:
        lock = threading.Lock()

        def emit(event: Job) -> None:
            with lock:
                events.write(json.dumps(event) + "\n")

        try:
            emit({"event": "result", "result": work(json.load(sys.stdin), emit)})
        except BaseException as error:
            pass_interrupts(error)
            emit(event_of(error))
    gc.freeze()  # the last collection of a process looks at every object, and frees memory that is freed anyway


def event_of(error: BaseException) -> Job:
    """The last event of a child that fails with this error."""
    if isinstance(error, InputError):
        return {"event": "input_error", "field": error.field, "problem": error.problem, "remedy": error.remedy}
    if isinstance(error, NerbenchError):
        return {"event": "error", "message": str(error)}
    trace = redact("".join(traceback.format_exception(error)))
    return {"event": "error", "message": redact(f"{type(error).__name__}: {error}"), "traceback": trace}


def die_with_parent() -> None:
    """Let the kernel end this process when its parent, named in PARENT, is gone; on Linux only."""
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != int(os.environ.get(PARENT, os.getppid())):
        os._exit(1)  # the parent was gone before the kernel was asked
