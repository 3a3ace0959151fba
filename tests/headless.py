"""A headless Chromium: $CHROMIUM, or the one that is installed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

PATIENCE_MS = 240_000
ARGUMENTS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@contextmanager
def chromium(*arguments: str) -> Iterator["Browser"]:
    """A browser until the context ends. Its event loop disturbs others until then. Skips the test without a browser."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not executable:
        pytest.skip("no chromium; install it, or name one in CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


def new_context(browser: "Browser", **options: Any) -> "BrowserContext":
    """A context whose pages wait as long as a slow machine needs; Playwright's default is 30 s."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    return context
