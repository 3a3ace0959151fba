"""Attacks: hostile input that must be refused. `make attacks` ends with a table of their costs."""

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from attacked_server import SCRIPT, Target, planted
from prefect_site import ROOT, end_tree, environment, free_port, keep_database

LIMIT_MB = 500
"""Maximum memory that an attack may add to the process, or take in a child, before it is refused."""
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Cost(NamedTuple):
    """The cost of one attack."""

    attack: str
    result: str
    seconds: float
    megabytes: float


COSTS: list[Cost] = []


def memory_mb(name: str) -> float:
    """VmRSS or VmHWM of this process."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Measure every test here, and fail it if its attack took too much memory."""
    measured = CLEAR_REFS.exists()
    if measured:
        CLEAR_REFS.write_text("5")  # resets the peak
    before, started = memory_mb("VmRSS") if measured else 0.0, time.perf_counter()
    outcome: Any = yield
    seconds = time.perf_counter() - started
    added = memory_mb("VmHWM") - before if measured else 0.0
    name = item.nodeid.removeprefix("tests/attacks/")
    kept = "allowed" if item.get_closest_marker("legitimate") else "refused"
    COSTS.append(Cost(name, "succeeded" if outcome.excinfo else kept, seconds, added))
    if not outcome.excinfo and added > LIMIT_MB:
        COSTS[-1] = COSTS[-1]._replace(result="too large")
        outcome.force_exception(AssertionError(f"the attack took {added:.0f} MB, more than {LIMIT_MB}"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table if attacks were requested."""
    if not COSTS or "attacks" not in (config.option.markexpr or ""):
        return
    terminalreporter.section("attacks")
    width = max(len(cost.attack) for cost in COSTS)
    for cost in COSTS:
        line = f"{cost.attack:<{width}}  {cost.result:<9}  {cost.seconds:6.2f} s  {cost.megabytes:6.0f} MB"
        terminalreporter.write_line(line)
    attacks = [cost for cost in COSTS if cost.result != "allowed"]
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    won = sum(cost.result != "refused" for cost in attacks)
    used = f"{len(COSTS) - len(attacks)} legitimate uses allowed"
    terminalreporter.write_line(f"{len(attacks)} attacks, {won} succeeded; {used}; largest child {children:.0f} MB")


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A server in a folder that every user can enter, so that only the modes of its files protect them."""
    folder = Path(tempfile.mkdtemp(prefix="nerbench-attacks-"))
    folder.chmod(0o755)
    port, home = free_port(), folder / "home"
    env = environment(home, folder / "cache")
    home.chmod(0o755)
    pipe = subprocess.PIPE
    command = [sys.executable, "-P", "-c", SCRIPT, str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True)
    try:
        assert process.stdout
        file, link = process.stdout.readline().split()
        credential = Path(file).read_text().rpartition("=")[2].strip()
        keep_database(home / "prefect.db")
        yield Target(port, home, process, credential, link, *planted(f"http://127.0.0.1:{port}/api", credential))
    finally:
        end_tree(process)
        shutil.rmtree(folder)


HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Mark the tests in this folder as `attacks`."""
    for item in items:
        if Path(item.path).is_relative_to(HERE):
            item.add_marker(pytest.mark.attacks)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a worker without variables for code and data."""
    for name in ("NERBENCH_CODE", "NERBENCH_DATA", "NERBENCH_ENV"):
        monkeypatch.delenv(name, raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def started_by_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process work for a run that Prefect's API started."""
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid4()))
