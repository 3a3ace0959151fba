"""The report in a real browser: it opens from disk without errors, and its controls work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_windows import NARROW, WIDE, Opened

pytestmark = pytest.mark.browser
FOCUSED = """(() => {
  const one = document.activeElement;
  return [one.tagName, one.id || one.textContent.trim().slice(0, 40), getComputedStyle(one).outlineStyle];
})()"""


def texts(opened: Opened, selector: str) -> list[str]:
    return [text.strip() for text in opened.page.locator(selector).all_inner_texts()]


def column(opened: Opened, number: int) -> list[str]:
    """The visible cells in a column of the leaderboard, from the top."""
    return texts(opened, f"#board tbody tr:not([hidden]) > :nth-child({number})")


@pytest.mark.parametrize(
    ("size", "theme"),
    [
        pytest.param(WIDE, "light", id="wide-light"),
        pytest.param(NARROW, "dark", id="narrow-dark"),
        pytest.param(WIDE, "dark", id="wide-dark", marks=pytest.mark.slow),
        pytest.param(NARROW, "light", id="narrow-light", marks=pytest.mark.slow),
    ],
)
def test_the_report_opens_without_errors(browser: Any, report: Path, size: tuple[int, int], theme: str) -> None:
    opened = Opened(browser, report, size, theme)
    opened.walk()
    assert opened.problems == []
    assert [url for url in opened.requests if not url.startswith(("file:", "blob:", "data:"))] == []
    assert opened.evaluate("document.documentElement.scrollWidth") == size[0]
    assert opened.evaluate("document.querySelectorAll('figure').length") >= 8
    assert "<b>worse</b>" in opened.page.inner_text(".headline")
    background = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(251, 251, 250)", "dark": "rgb(18, 20, 23)"}[theme]
    opened.context.close()


def test_the_leaderboard_is_sorted_and_searched(opened: Opened) -> None:
    page = opened.page
    before = column(opened, 3)
    heading = page.locator("#board thead th").nth(2)
    assert heading.get_attribute("aria-sort") == "none"
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(opened, 3) == sorted(before, key=float, reverse=True)
    heading.locator("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column(opened, 3) == sorted(before, key=float)
    page.locator("#board thead th").first.locator("button").click()
    assert heading.get_attribute("aria-sort") == "none"
    assert column(opened, 1) == sorted(column(opened, 1))
    page.fill("[data-filters=board]", "good second")
    assert list(zip(column(opened, 1), column(opened, 2), strict=True)) == [("good", "own against second")]
    assert page.inner_text("[data-count=board]") == "1 of 5 rows"
    page.fill("[data-filters=board]", "")
    assert len(column(opened, 1)) == 5
    empty = page.locator("#board thead th", has_text="since baseline")
    empty.locator("button").click()
    assert column(opened, texts(opened, "#board thead th").index("since baseline") + 1)[-1] == "–"


@pytest.fixture
def errors(opened: Opened) -> Iterator[Opened]:
    """At the error browser."""
    opened.page.locator("#errors").scroll_into_view_if_needed()
    opened.page.wait_for_selector("#error-list li")
    yield opened
    assert opened.problems == []


def counted(opened: Opened) -> int:
    return int(opened.page.inner_text("#error-count").split()[0])


def test_errors_are_filtered(errors: Opened) -> None:
    page = errors.page
    every = counted(errors)
    kinds = page.locator("#error-kind option").all_inner_texts()[1:]
    by_kind = []
    for kind in kinds:
        page.select_option("#error-kind", label=kind)
        by_kind.append(counted(errors))
        assert set(texts(errors, "#error-list .kind")) == {kind}
    assert sum(by_kind) == every
    page.select_option("#error-kind", label="all")
    by_model = []
    for name in page.locator("#error-entry option").all_inner_texts()[1:]:
        page.select_option("#error-entry", label=name)
        by_model.append(counted(errors))
        assert all(name.split(" on ")[0] in about for about in texts(errors, "#error-list .about"))
    assert sum(by_model) == every
    page.select_option("#error-entry", label="all")
    page.select_option("#error-label", label="ORG")
    assert all("ORG" in " ".join(texts(errors, f"#error-list li:nth-child({n}) .tag")) for n in range(1, 5))
    page.select_option("#error-label", label="all")
    page.fill("#error-text", "ALERT(1) then")
    page.wait_for_function(f"() => document.getElementById('error-count').textContent !== '{every} errors'")
    assert 0 < counted(errors) < every
    assert all(
        "<script>alert(1)</script>" in text or "alert(1)>" in text for text in texts(errors, "#error-list .words")
    )
    page.fill("#error-text", "no such words")
    page.wait_for_function("() => document.getElementById('error-count').textContent.startsWith('0 of')")
    assert texts(errors, "#error-list li") == []


def test_errors_come_in_pages_and_in_order_of_confidence(errors: Opened) -> None:
    page = errors.page
    first = texts(errors, "#error-list li")
    assert len(first) == 20
    page.locator("#error-pages button", has_text="Next").press("Enter")
    assert texts(errors, "#error-list li") != first
    assert page.locator("#error-list").get_attribute("start") == "21"
    assert errors.evaluate("document.activeElement.textContent") == "Next"
    page.locator("#error-pages button", has_text="Previous").click()
    assert texts(errors, "#error-list li") == first
    for order, reverse in (("sure", True), ("unsure", False)):
        page.select_option("#error-order", order)
        shown = [float(about.split("confidence ")[1].split(" ")[0]) for about in texts(errors, "#error-list .about")]
        assert shown == sorted(shown, reverse=reverse)


def test_entities_are_marked_in_place(errors: Opened) -> None:
    errors.page.select_option("#error-kind", label="type")
    item = errors.page.locator("#error-list li").first
    assert len(item.locator("mark.gold.pred").all()) == 1
    gold, predicted = item.locator(".tag").all_inner_texts()
    assert gold.endswith(" gold")
    assert predicted == "LOC predicted"


def test_flips_show_gold_before_and_now(opened: Opened) -> None:
    page = opened.page
    page.locator("#flips").scroll_into_view_if_needed()
    page.wait_for_selector("#flip-list li")
    page.select_option("#flip-kind", label="lost")
    item = page.locator("#flip-list li").first
    gold, before, now = (reading.locator(".tag").all_inner_texts() for reading in item.locator(".reading").all())
    assert gold[0].removesuffix(" gold") == before[0].removesuffix(" before")
    assert [one.removesuffix(" now") for one in now] != [one.removesuffix(" before") for one in before]
    assert "flips" in page.inner_text("#flip-count")


def test_a_chart_has_its_numbers_as_a_table(opened: Opened) -> None:
    opened.walk()
    page = opened.page
    for figure in page.locator("figure:has(svg.main-svg)").all():
        figure.locator("summary").click()
        figure.locator("tbody tr").first.wait_for()
        assert figure.locator(".plot").get_attribute("aria-label")
    page.select_option("#detail-entry", label="<b>worse</b> on own")
    assert "</script><b>T" in page.locator("#labels table").inner_text()
    scores = dict(zip(texts(opened, "#labels tbody th"), texts(opened, "#labels tbody td:nth-child(6)"), strict=True))
    position = column(opened, 1).index("<b>worse</b>")
    assert scores["overall"] == column(opened, 3)[position]
    assert opened.problems == []


@pytest.mark.parametrize("section", ["history", "errors", "provenance"])
def test_a_link_scrolls_to_its_section(opened: Opened, section: str) -> None:
    page = opened.page
    page.locator(f"nav a[href='#{section}']").click()
    if section == "history":
        page.wait_for_selector("#history-chart svg.main-svg")
    opened.settle()
    top = opened.evaluate(f"document.getElementById('{section}').getBoundingClientRect().top")
    bottom = opened.evaluate("document.documentElement.scrollHeight - innerHeight - scrollY")
    assert -5 <= top <= 120 or bottom < 2


def test_the_theme_is_chosen_and_remembered(opened: Opened, report: Path) -> None:
    page = opened.page
    dark = "rgb(18, 20, 23)"
    color = "getComputedStyle(document.body).backgroundColor"
    page.locator("#theme").press("Enter")
    assert (page.inner_text("#theme"), opened.evaluate(color) == dark) == ("Theme: light", False)
    page.locator("#theme").click()
    assert (page.inner_text("#theme"), opened.evaluate(color)) == ("Theme: dark", dark)
    page.reload()
    assert (page.inner_text("#theme"), opened.evaluate(color)) == ("Theme: dark", dark)


def test_charts_change_with_the_theme(opened: Opened) -> None:
    page = opened.page
    page.locator("#cost").scroll_into_view_if_needed()
    page.wait_for_selector("#pareto svg.main-svg")
    fill = "getComputedStyle(document.querySelector('#pareto .xtick text')).fill"
    before = opened.evaluate(fill)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"() => {fill} !== '{before}'")


def test_paper_is_white_complete_and_without_controls(opened: Opened) -> None:
    page = opened.page
    page.emulate_media(media="print", color_scheme="dark")
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert not page.locator("#board + .controls, .controls").first.is_visible()
    assert len(page.pdf()) > 50_000


def test_charts_fit_on_paper_and_on_the_screen_again(opened: Opened) -> None:
    opened.page.wait_for_selector("html[data-complete]")
    widths = "[...document.querySelectorAll('figure svg.main-svg')].map((one) => one.getBoundingClientRect().width)"
    before = opened.evaluate(widths)
    assert max(before) > 703, "A4 without the margins has 703 pixels"
    for event in ("beforeprint", "afterprint"):
        opened.evaluate(f"dispatchEvent(new Event('{event}'))")
        smaller = "<= 703" if event == "beforeprint" else "> 703"
        opened.page.wait_for_function(f"() => Math.max(...{widths}) {smaller}")
    assert opened.evaluate(widths) == before


def test_everything_is_drawn_without_scrolling(opened: Opened) -> None:
    opened.page.wait_for_selector("html[data-complete]")
    assert opened.evaluate("scrollY") == 0
    blank = "[...document.querySelectorAll('figure')].filter((one) => !one.querySelector('svg.main-svg, .empty'))"
    assert opened.evaluate(f"{blank}.map((one) => one.id)") == []
    assert opened.evaluate("document.querySelectorAll('figure svg.main-svg').length") >= 8
    assert opened.evaluate("document.querySelectorAll('.sentences:empty, #modes:empty, #confusion:empty').length") == 0
    assert opened.problems == []


def test_it_is_used_with_the_keyboard_alone(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert opened.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert opened.evaluate("document.activeElement.id") == "main"
    seen = set()
    for _ in range(45):
        page.keyboard.press("Tab")
        tag, name, outline = opened.evaluate(FOCUSED)
        assert outline != "none" or tag == "BODY", (tag, name)
        seen.add(name)
    assert {"F1", "cost-place", "detail-entry"} <= seen
