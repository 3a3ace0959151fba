import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nerbench.artifacts.errors import ConfigError, InputError, RunFailedError
from nerbench.tasks import child_process
from nerbench.tasks.child_process import run_child

Write = Callable[[str], str]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="these are real-time signals on Linux")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a child module, whose `work(job, emit)` has this body, and return its name."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(body: str) -> str:
        source = (
            "import os, signal, subprocess, sys\nfrom nerbench.tasks.child_process import serve\ndef work(job, emit):\n"
        )
        (tmp_path / "some_child.py").write_text(f"{source}{textwrap.indent(body, '    ')}\nserve(work)\n")
        return "some_child"

    return write


class Witness:
    """A pipe that processes keep open: it closes when the last of them ends."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.hold = f"alive = os.open({str(path)!r}, os.O_WRONLY)"

    def wait(self) -> None:
        """Wait until no process holds the pipe, at most until pytest's time limit."""
        os.set_blocking(self._reading, True)
        assert os.read(self._reading, 1) == b""
        os.close(self._reading)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path / "alive")


def test_events_come_in_order_and_the_result_is_returned(module: Write) -> None:
    name = module("for i in range(200): emit({'event': 'step', 'i': i})\nreturn {'twice': 2 * job['n']}")
    events: list[dict[str, Any]] = []
    assert run_child(name, {"n": 21}, what="counting", on_event=events.append) == {"twice": 42}
    assert events == [{"event": "step", "i": i} for i in range(200)]


def test_large_jobs_and_results_pass(module: Write) -> None:
    name = module("return {'back': job['text'] + '\\u2028é'}")
    text = "ü" * 500_000
    assert run_child(name, {"text": text}, what="echo") == {"back": text + "\u2028é"}


def test_a_wrong_request_keeps_its_class(module: Write) -> None:
    name = module(
        "from nerbench.artifacts.errors import ConfigError\nraise ConfigError('epochs', 'is -1', 'give more')"
    )
    with pytest.raises(InputError) as caught:
        run_child(name, {}, what="training x")
    assert str(caught.value) == str(ConfigError("epochs", "is -1", "give more"))


def test_an_exception_is_one_line_and_keeps_its_traceback_as_a_note(module: Write) -> None:
    name = module("raise ValueError('two\\nlines')")
    with pytest.raises(RunFailedError) as caught:
        run_child(name, {}, what="training x")
    assert str(caught.value) == "training x failed: ValueError: two lines"
    assert "some_child.py" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, "training x was killed by SIGKILL (the system may have run out of memory)"),
        (signal.SIGSEGV, "training x was killed by SIGSEGV"),
        pytest.param(40, "training x was killed by signal 40", marks=on_linux),
        pytest.param(64, "training x was killed by SIGRTMAX", marks=on_linux),
    ],
)
def test_a_killed_child_is_named_with_its_signal(module: Write, number: int, message: str) -> None:
    name = module(f"emit({{'event': 'step'}})\nos.kill(os.getpid(), {int(number)})")
    with pytest.raises(RunFailedError) as caught:
        run_child(name, {}, what="training x")
    assert str(caught.value) == message


def test_every_signal_has_a_name() -> None:
    assert all(child_process.signal_name(number).lower().startswith("sig") for number in range(1, 65))


def test_a_child_that_dies_in_the_middle_of_a_line(module: Write) -> None:
    name = module(
        "os.write(int(os.environ['NERBENCH_EVENTS']), b'{\"event\": \"res')\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    with pytest.raises(RunFailedError, match="SIGKILL"):
        run_child(name, {}, what="training x")


def test_a_child_that_ends_without_a_result_shows_its_last_words(module: Write) -> None:
    name = module("print('out of luck', file=sys.stderr)\nos._exit(3)")
    with pytest.raises(RunFailedError, match="ended with status 3 and no result: out of luck"):
        run_child(name, {}, what="training x")


def test_a_child_that_cannot_be_imported(module: Write) -> None:
    with pytest.raises(RunFailedError, match=r"status 1 and no result: .*no_such_child"):
        run_child("no_such_child", {"text": "x" * 200_000}, what="training x")


def test_printed_output_is_not_an_event(module: Write, tmp_path: Path) -> None:
    name = module(
        "print('{\"event\": \"result\"}')\nos.write(1, b'noise')\nsubprocess.run(['echo', 'noise'])\nreturn {'ok': 1}"
    )
    source = (tmp_path / "some_child.py").read_text()
    (tmp_path / "some_child.py").write_text(f"print('noise at import', flush=True)\n{source}")
    assert run_child(name, {}, what="noise") == {"ok": 1}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_leaving_by_an_exception_leaves_no_process(module: Write, witness: Witness, error: type[BaseException]) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    grandchild = f"import os, signal; {witness.hold}; {deaf}; print(flush=True); signal.pause()"
    name = module(
        f"""{witness.hold}
grandchild = subprocess.Popen([sys.executable, '-c', {grandchild!r}], stdout=subprocess.PIPE)
grandchild.stdout.readline()
emit({{'event': 'step'}})
signal.pause()"""
    )

    def listen(event: dict[str, Any]) -> None:
        raise error

    with pytest.raises(error):
        run_child(name, {}, what="x", on_event=listen)
    witness.wait()


def test_an_error_reported_by_the_child_is_one_line(module: Write) -> None:
    name = module("from nerbench.artifacts.errors import RunFailedError\nraise RunFailedError('the loss is nan')")
    with pytest.raises(RunFailedError, match=r"^training failed: the loss is nan$") as caught:
        run_child(name, {}, what="training")
    assert not hasattr(caught.value, "__notes__")


def test_a_child_that_ignores_termination_is_killed(
    module: Write, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "GRACE_S", 0.1)
    name = module(
        f"{witness.hold}\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nemit({{'event': 'step'}})\nsignal.pause()"
    )

    def listen(event: dict[str, Any]) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run_child(name, {}, what="x", on_event=listen)
    witness.wait()


def test_a_result_is_not_lost_to_a_child_that_hangs_at_its_end(
    module: Write, witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_process, "GRACE_S", 0.1)
    name = module(f"{witness.hold}\nimport atexit\natexit.register(signal.pause)\nreturn {{'ok': 1}}")
    assert run_child(name, {}, what="x") == {"ok": 1}
    witness.wait()


def test_no_process_is_left_after_a_result(module: Write, witness: Witness) -> None:
    grandchild = f"import os, signal; {witness.hold}; print(flush=True); signal.pause()"
    name = module(
        f"""grandchild = subprocess.Popen([sys.executable, '-c', {grandchild!r}], stdout=subprocess.PIPE)
grandchild.stdout.readline()
return {{}}"""
    )
    assert run_child(name, {}, what="x") == {}
    witness.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_child_dies_with_its_parent(module: Write, witness: Witness) -> None:
    name = module(f"{witness.hold}\nemit({{'event': 'step'}})\nsignal.pause()")
    listen = f"from nerbench.tasks.child_process import run_child; run_child({name!r}, {{}}, what='x', on_event=print)"
    parent = subprocess.Popen([sys.executable, "-u", "-c", listen], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert "step" in parent.stdout.readline()
    parent.kill()
    parent.communicate()
    witness.wait()


def test_a_child_module_can_be_run_directly(module: Write) -> None:
    name = module("emit({'event': 'step'})\nreturn {'n': job['n']}")
    done = subprocess.run(
        [sys.executable, "-m", name], input=json.dumps({"n": 1}), capture_output=True, text=True, check=True
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"event": "step"},
        {"event": "result", "result": {"n": 1}},
    ]
