"""axe-core finds nothing serious in the report, in both themes and at both widths.

The script is not part of the project: `npm install --prefix .venv/axe axe-core@4.14.1`, or name its file in AXE_CORE.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from report_windows import NARROW, WIDE, Opened

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
INSTALLED = ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def axe() -> str:
    path = Path(os.environ.get("AXE_CORE") or INSTALLED)
    if not path.exists():
        pytest.skip("no axe-core: npm install --prefix .venv/axe axe-core@4.14.1")
    return path.read_text()


def violations(opened: Opened, rules: Sequence[str] = ()) -> list[str]:
    """The findings of axe with impact, rule and first elements; with all rules, or only these."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found: Any = opened.page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{one['impact']} {one['id']}: {[node['html'][:120] for node in one['nodes'][:3]]} ({len(one['nodes'])})"
        for one in found["violations"]
    ]


@pytest.mark.parametrize(
    "size", [pytest.param(WIDE, id="wide"), pytest.param(NARROW, id="narrow", marks=pytest.mark.slow)]
)
def test_axe_finds_nothing(browser: Any, report: Path, axe: str, size: tuple[int, int]) -> None:
    opened = Opened(browser, report, size, "light")
    opened.walk()
    opened.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    opened.page.locator("#history-chart details tbody tr").first.wait_for()
    opened.page.evaluate(f"{axe}\n;0")
    assert violations(opened) == []
    opened.page.emulate_media(color_scheme="dark")
    assert violations(opened, rules=["color-contrast", "link-in-text-block"]) == []
    opened.context.close()


def test_axe_finds_a_planted_violation(browser: Any, report: Path, axe: str) -> None:
    opened = Opened(browser, report, WIDE, "light")
    opened.evaluate(
        "document.querySelector('#error-entry').parentElement.replaceWith(document.createElement('select'))"
    )
    opened.evaluate("document.querySelector('.note').style.color = '#ddd'")
    opened.page.evaluate(f"{axe}\n;0")
    found = " ".join(violations(opened, ["select-name", "color-contrast"]))
    assert "critical select-name" in found
    assert "serious color-contrast" in found
    opened.context.close()
