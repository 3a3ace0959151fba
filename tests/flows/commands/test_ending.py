"""The end of a command whose output cannot be written."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from nerbench import __version__


def run(arguments: list[str], output: IO[str] | int) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "nerbench.flows.cli", *arguments]
    return subprocess.run(command, check=False, stdout=output, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
def test_a_full_disk_under_the_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = run(["artifacts", "--help"], full)
    assert done.returncode == 1
    assert done.stderr == "nerbench: the output cannot be written: No space left on device; make room on that disk\n"


@pytest.mark.parametrize("arguments", [["--help"], ["artifacts", "ls", "--json"]])
def test_a_closed_pipe_is_not_a_bug(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(arguments, writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("raised", ["BrokenPipeError(32, 'Broken pipe')", "SystemExit(3)"])
def test_another_broken_pipe_is_reported(raised: str) -> None:
    script = f"""
import sys
from nerbench.flows import cli
def broken(*arguments, **options): raise {raised}
cli.app = broken
sys.argv = ["nerbench"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 70
    assert done.stderr.splitlines()[-1].startswith("nerbench: this is a bug in nerbench")


def test_closed_streams_are_no_bug_and_leave_no_number_to_a_socket() -> None:
    """The socket of a server became its stdin, or a flush of the output failed."""
    script = "import os; from nerbench.flows import cli; cli.app = lambda *_, **__: os.open('/dev/null', 0)"
    script += " > 2 or os._exit(3); cli.main()"
    for closed in ("<&-", ">&-", "<&- >&- 2>&-"):
        done = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, script], check=False)
        assert done.returncode == 1, closed  # the result of the command: True


def test_the_version_is_the_package_s() -> None:
    done = run(["--version"], subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


@pytest.mark.parametrize(
    ("profiles", "variables", "says"),
    [
        ("[profiles.team", {}, "Expected ']' at the end of a table declaration"),
        ("", {"PREFECT_SERVER_API_PORT": "password"}, "port: Input should be a valid integer"),
        ("", {"PREFECT_API_URL": "http://["}, "Value error, Invalid IPv6 URL"),
    ],
)
def test_settings_that_prefect_cannot_read_are_one_line(
    profiles: str, variables: dict[str, str], says: str, tmp_path: Path
) -> None:
    (tmp_path / "profiles.toml").write_text(profiles)
    environment = os.environ | {"PREFECT_HOME": str(tmp_path)} | variables
    script = """
from nerbench.flows import cli
def imports(*arguments, **options): import prefect.context
cli.app = imports
cli.main()
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert f"nerbench: Prefect's settings: {says}" in done.stderr.splitlines()[-1]
    assert "password" not in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_an_interruption_within_pydantic_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pydantic import BaseModel, model_serializer

    from nerbench.flows import cli

    class Interrupted(BaseModel):
        @model_serializer
        def interrupt(self) -> dict[str, Any]:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli, "app", lambda *_, **__: Interrupted().model_dump())
    assert cli.status_of([]) == 130
    assert capsys.readouterr().err == "nerbench: interrupted; run the command again to continue\n"
