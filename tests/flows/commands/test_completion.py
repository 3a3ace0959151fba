"""Shell completion from the folders of a store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import reference

from nerbench.flows.commands.completion import complete_model, complete_reference


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, aliases in (("tagger", ("latest", "champion")), ("tiny", ("latest",)), ("other", ())):
        folder = tmp_path / "var" / "artifacts" / "models" / name / "aliases"
        folder.mkdir(parents=True)
        for alias in aliases:
            (folder / f"{alias}.json").touch()
    return tmp_path


def test_names_and_aliases() -> None:
    assert complete_reference("") == ["other", "tagger", "tiny"]
    assert complete_reference("t") == complete_model("t") == ["tagger", "tiny"]
    assert complete_reference("tagger@") == ["tagger@champion", "tagger@latest"]
    assert complete_reference("tagger@l") == ["tagger@latest"]
    assert complete_model("tagger@") == complete_reference("../x@") == complete_reference("nobody@") == []


@pytest.mark.parametrize(("line", "expected"), [("store: ./mine", ["mine"]), ('store: "s3://b/x"  # far', [])])
def test_the_store_is_that_of_the_configuration(store: Path, line: str, expected: list[str]) -> None:
    (store / "mine" / "models" / "mine").mkdir(parents=True)
    (store / "nerbench.yaml").write_text(f"results: x\n{line}\n")
    assert complete_reference("") == expected


def test_every_argument_that_is_a_reference_is_completed() -> None:
    named = {"reference", "references", "first", "second", "base", "candidate", "models"}
    found = [
        (name, parameter.name, parameter._custom_shell_complete)
        for name, command in reference.commands()
        for parameter in command.params
        if parameter.param_type_name == "argument" and parameter.name in named
    ]
    assert len(found) >= 13
    assert [(name, argument) for name, argument, complete in found if complete is None] == []


def test_the_shell_gets_completions(store: Path) -> None:
    """A request like bash's: the words and the position are in variables."""
    asked = {"_NERBENCH_COMPLETE": "complete_bash", "COMP_WORDS": "nerbench predict t", "COMP_CWORD": "2"}
    code = "import sys; sys.argv = ['nerbench']; from nerbench.flows.cli import main; main()"
    environment = os.environ | asked
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.split() == ["tagger", "tiny"], done.stderr
    assert (done.stderr, done.returncode) == ("", 0)  # the shell shows stderr beside what the user types
