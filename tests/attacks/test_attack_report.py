"""The report on hostile result tables shows every text; none runs, loads or changes anything."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from headless import chromium, new_context

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.tasks.report.report import build

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.attacks
MARKUP = (
    "</script></title></style>--><svg/onload=alert(1)><img src=//evil.example/x onerror=alert(1)>"  # ends an element
    '"\'` autofocus onfocus=alert(1) style=background:url(//evil.example/x) x="'  # ends an attribute
    '<a href="javascript:alert(1)" id=theme class=evil>x</a><b>y</b>{{7*7}}{% raw %}${alert(1)}%{x}%{y}'
    "\u202e\u2066\x1b[31m\x00\x07\u2028\ufeff=cmd|' /c calc'!A1"
)
PAYLOADS = [
    pytest.param(MARKUP, id="markup"),
    *(
        pytest.param(text, id=text, marks=pytest.mark.slow)
        for text in ("javascript:alert(1)", "__proto__", "constructor")
    ),
]
USE = """async () => {
  const links = /^(href|src|action|formaction|srcdoc|data|poster|style|xlink:href)$/i;
  const isOurs = (one) => one.closest('nav, form.controls, .skip') || /^#/.test(one.getAttribute('href') || '');
  const foreign = (one) => (/^(IMG|A|IFRAME|OBJECT|EMBED|BASE|LINK|FORM|META)$/i.test(one.tagName) && !isOurs(one))
    || one.classList.contains('evil') || [...one.attributes].some((found) =>
    /^on/i.test(found.name) || (links.test(found.name) && /javascript:|evil.example/i.test(found.value)));
  const odd = new Set();
  const look = async () => {
    for (const one of document.querySelectorAll('details')) one.open = true;
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    for (const one of document.body.querySelectorAll('*')) if (foreign(one)) odd.add(one.outerHTML.slice(0, 200));
    const shown = document.body.innerText;
    for (const text of ['[object ', 'native code', 'NaN', 'undefined']) if (shown.includes(text)) odd.add(text);
  };
  for (const one of document.querySelectorAll('section')) {
    one.scrollIntoView({ behavior: 'instant' });
    await new Promise((done) => setTimeout(done, 40));
  }
  await look();
  for (const one of document.querySelectorAll('select')) {
    for (const option of [...one.options].slice(-1)) {
      one.value = option.value;
      one.dispatchEvent(new Event('change'));
      await look();
    }
  }
  return [...odd];
}"""
"""Scrolls to and chooses every element; returns the elements that only a text of a table can have created."""


@pytest.fixture
def honest(nights: str) -> Path:
    """Tables of two runs."""
    return Path(nights)


def spoiled(honest: Path, folder: Path, payload: str) -> str:
    """The same tables, with a further row for each text column of each table in which that column is the payload.

    What merely names something becomes the payload everywhere it stands, so that it is shown in every place.
    """
    for path in honest.rglob("*.parquet"):
        rows = pq.ParquetFile(path).read()
        table = path.relative_to(honest).parts[0]
        texts = [column.name for column in TABLES[table].columns if column.type == "string"]
        named = rows.to_pylist()
        for row in named:
            row |= {name: payload for name in ("model", "reason", "host", "cpu", "torch") if row.get(name)}
            row |= {name: payload for name in ("text", "gold_text", "pred_text", "sentence_text") if row.get(name)}
        like = next((row for row in named if (row.get("mode"), row.get("metric")) == ("strict", "f1")), named[0])
        more = [like | {name: payload} for name in texts if name in like and name != "configuration"]
        target = folder / path.relative_to(honest)
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([*named, *more], schema=rows.schema), target)
    return str(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as browser:
        yield browser


def watched(page: "Page") -> list[str]:
    """The events in the page from now on."""
    happened: list[str] = []
    page.on("console", lambda said: happened.append(said.text) if said.type != "log" else None)
    page.on("pageerror", lambda error: happened.append(str(error)))
    page.on("dialog", lambda dialog: (happened.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "blob:", "data:")) else happened.append(asked.url),
    )
    return happened


@pytest.mark.browser
@pytest.mark.parametrize("payload", PAYLOADS)
def test_texts_of_tables_run_nothing_in_a_page(browser: "Browser", honest: Path, tmp_path: Path, payload: str) -> None:
    page_file = tmp_path / "report.html"
    page_file.write_text(build(spoiled(honest, tmp_path / "results", payload), ["night-2", payload]).html)
    context = new_context(browser)
    page = context.new_page()
    happened = watched(page)
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate(USE) == []
    assert happened == []
    assert payload.partition("\u202e")[0] in page.inner_text("#leaderboard"), "it is shown"
    page.wait_for_function("() => document.querySelectorAll('figure svg.main-svg').length > 3")  # charts are drawn
    context.close()


@pytest.mark.parametrize("text", ["{", "[1]", '{"benchmark": 3}', "[" * 100_000])
def test_an_invalid_recorded_configuration_is_reported(honest: Path, tmp_path: Path, text: str) -> None:
    folder = shutil.copytree(honest, tmp_path / "results")
    for path in folder.glob("runs/**/*.parquet"):
        rows = pq.ParquetFile(path).read()
        changed = [row | {"configuration": text} for row in rows.to_pylist()]
        pq.write_table(pa.Table.from_pylist(changed, schema=rows.schema), path)
    with pytest.raises(CorruptArtifactError, match="table runs: holds no configuration"):
        build(str(folder))
