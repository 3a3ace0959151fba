"""Runs the commands after the first run and the README's example in Python, and checks their output."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from nerbench.flows.cli import status_of
from nerbench.tasks.config import Config

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = re.compile(r"<!-- python -->\n```python\n(.*?)```", re.DOTALL)
pytestmark = pytest.mark.e2e
PRINTS = {
    "artifacts ls": r"name +artifact +created +MB +aliases\n.*\btiny-bert +[0-9a-f]{12} +\d{4}-\d\d-\d\d",
    "artifacts show": r"^tiny-bert\s.*key +value",
    "artifacts verify": r"^[0-9a-f]{12}: ok, \d+ files$",
    "benchmark": r"strict entity scores in points, on own.*model +precision +recall +F1 +conlleval",
    "results show --labels": r"by type, in points, on own.*PER +\S+ +\S+ +\S+.*micro average",
    "results runs": r"started \(UTC\) +run.*\n\d{4}-\d\d-\d\d \d\d:\d\d .*\bok\b",
    "results show": r"strict entity scores in points, on own.*model +precision +recall +F1 +conlleval",
    "predict": r"Clara.* of .*Bergen",
    "history": r"\d{4}-\d\d-\d\d",
    "report": r"\S",
}
ELSEWHERE = ("nerbench doctor", "nerbench compare", "nerbench speed")
"""Commands that depend on the machine, need the second model's scores, or take minutes; they have their own tests."""


def commands() -> list[str]:
    """The nerbench commands in the section on the results of the first run."""
    section = (ROOT / "docs/tutorials/first-run.md").read_text().split("## What you just made")[1].split("\n## ")[0]
    lines = re.findall(r"^(nerbench [^#\n]+)", section, re.MULTILINE)
    return [line.strip() for line in lines if not line.startswith(ELSEWHERE)]


@pytest.fixture
def folder(config: Config, finished: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory like the one after `nerbench run`, with a smaller model of the same name."""
    monkeypatch.chdir(tmp_path)
    settings = config.model_dump(mode="json") | {"store": "./var/artifacts", "results": "./var/results", "models": []}
    (tmp_path / "nerbench.yaml").write_text(yaml.safe_dump(settings))
    assert status_of(["artifacts", "pull", "tiny", "copy", "--store", config.store]) == 0
    assert status_of(["artifacts", "push", "copy", "--name", "tiny-bert"]) == 0
    return tmp_path


def test_the_commands_and_the_example_work(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = commands()
    assert len(found) == len(PRINTS)
    for command in found:
        capsys.readouterr()
        assert status_of(shlex.split(command)[1:]) == 0, command
        pattern = next(pattern for start, pattern in PRINTS.items() if command.startswith(f"nerbench {start}"))
        assert re.search(pattern, capsys.readouterr().out, re.MULTILINE | re.DOTALL), command
    [example] = EXAMPLE.findall((ROOT / "README.md").read_text())
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert re.search(r"tiny-bert +\d+\.\d+ .*^\[.*\]\npass$", printed, re.MULTILINE | re.DOTALL), printed


@pytest.mark.slow
def test_the_demonstration_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: None, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status_of(["run", "--json"]) == 0
    import json

    rows = json.loads(capsys.readouterr().out)["metrics"]
    wanted = {"slice": "all", "mode": "strict", "label": "overall", "average": "micro", "metric": "f1"}
    assert min(row["value"] for row in rows if wanted.items() <= row.items()) >= 0.85
