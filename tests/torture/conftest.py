"""Two S3 servers that differ, and the table of figures at the end."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from figures import Count, table
from s3_server import MOTO, ministack, running_s3

_FIGURES = pytest.StashKey[list[Count]]()
_PAGED = MOTO._replace(environment={"MOTO_S3_DEFAULT_MAX_KEYS": "100"})  # it builds a page as slowly as the whole list
_MINISTACK = Path(__file__).resolve().parents[2] / ".venv-ministack"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_FIGURES] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("torture"):
            item.add_marker(pytest.mark.timeout(1800))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[_FIGURES] and config.option.markexpr == "torture":
        terminalreporter.section("figures")
        for line in table(config.stash[_FIGURES]):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[Count]:
    """The figures to print at the end."""
    return pytestconfig.stash[_FIGURES]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits between attempts."""
    monkeypatch.setattr("nerbench.artifacts.storage.retries.sleep", lambda seconds: None)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def moto_bucket() -> Iterator[str]:
    with running_s3(_PAGED) as url:
        yield url


@pytest.fixture(scope="module", params=["moto", "ministack"])
def server_name(request: pytest.FixtureRequest) -> str:
    """Both servers."""
    name: str = request.param
    if name == "ministack" and not (_MINISTACK / "installed").exists():
        pytest.skip("no .venv-ministack: `make torture` installs it where a package index can be reached")
    return name


@pytest.fixture(scope="module")
def any_bucket(server_name: str) -> Iterator[str]:
    """A bucket of each server; its endpoint is in the environment."""
    with running_s3(_PAGED if server_name == "moto" else ministack(_MINISTACK / "bin/python")) as url:
        yield url


@pytest.fixture
def any_s3_url(any_bucket: str) -> str:
    """A prefix that no other test uses."""
    return f"{any_bucket}/{uuid4().hex}"
