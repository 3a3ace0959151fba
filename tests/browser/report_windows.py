"""The report in a browser window."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headless import new_context

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDE, NARROW = (1280, 900), (390, 844)


STEADY = """(frames) => new Promise((done) => {
  let same = 0;
  let before = null;
  const look = () => {
    const now = `${document.documentElement.scrollHeight} ${scrollY}`;
    same = now === before ? same + 1 : 0;
    before = now;
    if (same >= frames) done();
    else requestAnimationFrame(look);
  };
  look();
})"""


class Opened:
    """A report in a window, and its errors."""

    def __init__(self, browser: "Browser", path: Path, size: tuple[int, int], theme: str) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        viewport = {"width": size[0], "height": size[1]}
        self.context = new_context(browser, viewport=viewport, color_scheme=theme)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type != "log" else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]")

    def walk(self) -> None:
        """Scroll to every section, so that all charts are drawn."""
        for section in self.page.query_selector_all("section"):
            section.evaluate("(one) => one.scrollIntoView({ behavior: 'instant' })")
            self.settle(frames=3)
        drawn = (
            "() => [...document.querySelectorAll('figure')].every((one) => one.querySelector('svg.main-svg, .empty'))"
        )
        self.page.wait_for_function(drawn)

    def settle(self, frames: int = 20) -> None:
        """Wait until so many frames after each other are as high, and scrolled to the same place."""
        self.page.evaluate(STEADY, frames)

    def evaluate(self, script: str) -> Any:
        """The result of a script in the page."""
        return self.page.evaluate(script)
