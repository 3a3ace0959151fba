"""A headless browser, and a report to open in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from headless import chromium
from report_windows import WIDE, Opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def report(nights: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page about two runs, the second of which is worse."""
    from nerbench.tasks.report.report import build

    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(build(nights).html)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium, closed at the end of the module, since its event loop disturbs other tests."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser: "Browser", report: Path) -> Iterator[Opened]:
    """The report in a wide window with the light theme."""
    found = Opened(browser, report, WIDE, "light")
    yield found
    found.context.close()
