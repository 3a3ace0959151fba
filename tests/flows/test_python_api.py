"""`import nerbench` beside the command line: its examples run, also where an event loop runs already."""

import asyncio
import doctest
import logging
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

import nerbench
from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
COMPUTES = {"run", "train", "speed"}
"""Names whose examples take long: they train and measure."""
NAMES = {"tiny": "tiny-bert", "tinier": "tiny-bert-1layer"}


@pytest.fixture(scope="module")
def demo(config: Config, finished: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the one after `nerbench run`, with smaller models of the same names."""
    folder = tmp_path_factory.mktemp("demo")
    settings = config.model_dump(mode="json") | {"store": "./var/artifacts", "results": "./var/results"}
    settings["datasets"][0]["name"] = "demo"
    for model in settings["models"]:
        model["name"] = NAMES[model["name"]]
    (folder / "nerbench.yaml").write_text(yaml.safe_dump(settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for stored, name in NAMES.items():
            assert status_of(["artifacts", "pull", stored, name, "--store", config.store]) == 0
            assert status_of(["artifacts", "push", name, "--name", name, "--no-check"]) == 0
        nerbench.benchmark(speed=False)
    return folder


@pytest.fixture(autouse=True)
def folder(demo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(demo)
    return demo


def examples(*wanted: str) -> Iterator[doctest.DocTest]:
    """The examples of public names, and of the methods of public classes."""
    finder = doctest.DocTestFinder()
    for name in wanted:
        found = getattr(nerbench, name)
        yield from finder.find(found, name, module=import_module(found.__module__), globs={})


def check(*names: str) -> None:
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    for example in examples(*names):
        runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
    assert runner.tries > 0


def test_the_examples_of_the_public_names_run() -> None:
    pytest.importorskip("matplotlib")
    import matplotlib

    matplotlib.use("agg")
    check(*sorted({*nerbench.__all__} - COMPUTES - {"__version__"}))


@pytest.mark.slow
def test_the_examples_that_train_and_measure_run() -> None:
    check("train", "run", "speed")


def test_it_works_where_an_event_loop_runs_already(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "nerbench.models")

    async def cell() -> tuple[nerbench.Results, list[dict[str, Any]]]:
        return nerbench.benchmark(["tiny-bert"], speed=False), nerbench.score()

    results, added = asyncio.run(cell())
    assert results.headline().model.tolist() == ["tiny-bert"]
    assert added == []
    [line] = [record.getMessage() for record in caplog.records if record.name == "nerbench.models"]
    f1 = results.headline().F1[0]
    assert line.startswith(f"tiny-bert: F1 {f1:.1f}")
    assert line.endswith("on demo")


def test_a_file_elsewhere_is_read_and_its_code_allowed(demo: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import nerbench\n\n@nerbench.metric('own')\ndef own(predictions):\n    return 3\n"
    )
    settings = yaml.safe_load((demo / "nerbench.yaml").read_text())
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(settings | {"metrics": [str(tmp_path / "own.py")]}))
    added = nerbench.score(str(tmp_path / "other.yaml"))
    assert {(row["metric"], row["value"]) for row in added} == {("own", 3.0)}


def test_a_wrong_request_is_an_error_with_a_status() -> None:
    with pytest.raises(nerbench.NerbenchError, match="model 'nobody'") as raised:
        nerbench.benchmark(["nobody"])
    assert raised.value.exit_status == 2
    with pytest.raises(nerbench.NerbenchError, match="there is no file"):
        nerbench.run("nowhere.yaml")
