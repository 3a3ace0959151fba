"""Measures size and time of a large report: 50 models, 365 runs, 100,000 errors.

`python tests/benchmarks/report_size.py [--models 50] [--days 365] [--errors 100000] [--results FOLDER] [--compact]`
writes such tables to a temporary folder (or takes those that lie in FOLDER), and prints the seconds and CPU seconds of
a report from them, its size, and where chromium is there when its first screen is painted and how long a search in the
errors takes. CPU seconds and the times of the browser are of one run each.
"""

import argparse
import os
import random
import resource
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from history_speed import FIRST, write_day

LABELS = ("LOC", "MISC", "ORG", "PER")
SPEED = {"device": "cpu", "dtype": "fp32", "backend": "eager", "workload": "inference", "batch_size": 1}
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
BROWSER = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
BROWSER += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def write_speed(results: str, models: int, day_number: int) -> None:
    from nerbench.artifacts.tables.tables import table_key, write_table

    day = (FIRST + timedelta(days=day_number)).isoformat()
    for model in range(models):
        about = {"run_id": f"nightly/{day}", "artifact_id": f"{model:064x}", "model": f"model-{model:02}"}
        samples = [0.001 * (5 + model % 9 + n / 100) for n in range(200)]
        row = (
            about | SPEED | {"status": "ok", "n": 200, "p50_s": samples[100], "samples_s": samples, "words_per_s": 1e3}
        )
        write_table(results, "speed", [row], date=day, key=table_key(day, "speed", str(model)))


def write_errors(results: str, models: int, errors: int, day_number: int) -> None:
    """The errors of the last run: sentences of 25 words that no two models share."""
    from nerbench.artifacts.tables.tables import write_table
    from nerbench.tasks.scoring.stored_predictions import predictions_key

    rng = random.Random(0)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(20_000)]
    for model in range(models):
        about = {
            **{
                "artifact_id": f"{model:064x}",
                "words_sha256": f"{day_number % 7:064x}",
                "gold_sha256": f"{day_number % 7:064x}",
            },
            **{"predictions_digest": f"{model * 10_000 + day_number:064x}", "model": f"model-{model:02}"},
            **{"dataset": "conllpp", "gold": "conllpp", "split": "test", "dtype": "fp32"},
        }
        rows = [about | error(rng, vocabulary, number) for number in range(errors // models)]
        write_table(
            results, "errors", rows, date=(FIRST + timedelta(days=day_number)).isoformat(), key=predictions_key(about)
        )


def error(rng: random.Random, vocabulary: list[str], number: int) -> dict[str, Any]:
    words = rng.choices(vocabulary, k=25)
    start = rng.randrange(20)
    gold, wrong = rng.sample(LABELS, 2)
    return {
        **{"kind": "type", "document": number // 20, "sentence": number, "sentence_text": " ".join(words)},
        **{
            "gold_start": start,
            "gold_end": start + 2,
            "gold_label": gold,
            "gold_text": " ".join(words[start : start + 2]),
        },
        **{
            "pred_start": start,
            "pred_end": start + 2,
            "pred_label": wrong,
            "pred_text": " ".join(words[start : start + 2]),
        },
        **{"score": rng.random(), "invalid": False},
    }


def write(results: str, models: int, days: int, errors: int) -> None:
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(write_day, results, models, 150), range(days), chunksize=8))
        list(pool.map(partial(write_speed, results, models), range(days), chunksize=8))
    write_errors(results, models, errors, days - 1)


def compact(results: str) -> None:
    from nerbench.artifacts.tables.compaction import compact

    now = datetime.now(UTC)
    compact(results, ["metrics", "speed", "runs"], grace=timedelta(0), now=now)
    compact(results, ["metrics", "speed", "runs"], grace=timedelta(0), now=now + timedelta(seconds=1))


def build(results: str, target: Path) -> None:
    from nerbench.tasks.report import report
    from nerbench.tasks.report.history import read_history

    for name, call in (("history alone", lambda: read_history(results, "9999-01-01")), ("report", lambda: None)):
        started, cpu = time.perf_counter(), time.process_time()
        call()
        if name == "report":
            target.write_text(report.build(results).html)
        print(f"{name}: {time.perf_counter() - started:.1f} s, {time.process_time() - cpu:.1f} s of CPU")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"page: {target.stat().st_size / 1e6:.2f} MB; memory: {memory / 1e3:.0f} MB")


def look(target: Path) -> None:
    """The waiting times of a reader."""
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not executable:
        print("no chromium: nothing is known of the browser")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=BROWSER)
        page = browser.new_page()
        page.goto(target.as_uri())
        page.wait_for_selector("html[data-ready]")
        print(f"first paint: {page.evaluate(PAINTED):.0f} ms; ready: {page.evaluate('performance.now()'):.0f} ms")
        waited = {}
        for name, go, until in (
            ("history drawn", "location.hash = 'history'", "#history-chart svg.main-svg"),
            ("errors shown", "location.hash = 'errors'", "#error-list li"),
        ):
            started = time.perf_counter()
            page.evaluate(go)
            page.wait_for_selector(until)
            waited[name] = time.perf_counter() - started
        started = time.perf_counter()
        page.fill("#error-text", "a e")
        page.wait_for_function("() => document.getElementById('error-count').textContent.includes(' of ')")
        waited["search"] = time.perf_counter() - started
        print("; ".join(f"{name}: {1e3 * seconds:.0f} ms" for name, seconds in waited.items()))
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for option, default in (("--models", 50), ("--days", 365), ("--errors", 100_000)):
        parser.add_argument(option, type=int, default=default)
    parser.add_argument("--results")
    parser.add_argument("--compact", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = asked.results or f"{folder}/results"
        if not Path(results).exists():
            write(results, asked.models, asked.days, asked.errors)
        if asked.compact:
            compact(results)
        build(results, Path(folder) / "report.html")
        look(Path(folder) / "report.html")


if __name__ == "__main__":
    main()
