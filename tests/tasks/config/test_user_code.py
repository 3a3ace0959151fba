"""Custom functions and files are found and run again at each call; each mistake is one line."""

import sys
from pathlib import Path

import pytest

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config.user_code import explain, load_file, load_function, place_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path


def test_functions_of_files_and_of_modules(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/mine.py").write_text("class Tool:\n    def run(self=None):\n        return 'file'\n")
    (folder / "nerbench_test_usercode.py").write_text("def run():\n    return 'module'\n")
    assert load_function("sub/mine.py:Tool.run")() == "file"
    assert load_function(f"{folder}/sub/mine.py:Tool.run")() == "file"
    assert load_function("nerbench_test_usercode:run")() == "module"


def test_a_file_may_use_modules_and_data_of_its_folder_and_dataclasses(folder: Path) -> None:
    (folder / "nerbench_test_neighbour.py").write_text("VALUE = 3\n")
    (folder / "mine.py").write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "from nerbench_test_neighbour import VALUE\n"
        "@dataclass\nclass Mine:\n    value: int = VALUE\nPLACE = __file__\n"
    )
    module = load_file("mine.py")
    assert (module.Mine().value, module.PLACE) == (3, str(folder / "mine.py"))


def test_a_file_of_the_same_size_that_changed_within_a_second_is_read_again(folder: Path) -> None:
    for value in (1, 2, 3):
        (folder / "mine.py").write_text(f"VALUE = {value}\n")
        assert value == load_file(folder / "mine.py").VALUE
    assert [path.name for path in folder.iterdir()] == ["mine.py"], "nothing is left beside it"


def test_files_of_one_name_are_two_modules(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "mine.py").write_text(f"VALUE = {name!r}\n")
    first, second = load_file("a/mine.py"), load_file("b/mine.py")
    assert (first.VALUE, second.VALUE) == ("a", "b")
    assert sys.modules[first.__name__] is first
    assert sys.modules[second.__name__] is second


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("absent.py:f", "", "absent.py: there is no such file; name a Python file"),
        (".:f", "", ".: it cannot be imported"),
        ("https://host/mine.py:f", "", "https://host/mine.py: there is no such file"),
        (
            "mine.py:f",
            "def f(:\n",
            "mine.py: it cannot be loaded (SyntaxError: invalid syntax (mine.py, line 1)); correct ",
        ),
        (
            "mine.py:f",
            "\n1/0\n",
            "mine.py: it cannot be loaded (ZeroDivisionError: division by zero); correct {}/mine.py:2",
        ),
        ("mine.py:f", "raise SystemExit(3)\n", "mine.py: it cannot be loaded (SystemExit: 3)"),
        ("mine.py:f", "x = 'ä'".encode("latin-1"), "mine.py: it cannot be loaded (SyntaxError: (unicode error)"),
        (
            "mine.py:f",
            "import absent_module",
            "(ModuleNotFoundError: No module named 'absent_module'); correct {}/mine.py:1",
        ),
        ("mine.py:f", "def g(): ...\n", "mine.py:f: mine.py has no 'f'; choose among g"),
        ("mine.py:f", "", "mine.py:f: mine.py has no 'f'; define it"),
        ("mine.py:f.x", "f = 3\n", "mine.py:f.x: mine.py has no 'f.x'; define it"),
        ("mine.py:f", "f = 3\n", "mine.py:f: is not a function but int; name a function"),
        ("absent_module:f", "", "absent_module: it cannot be imported (ModuleNotFoundError: No module named"),
        (":f", "", "it cannot be imported (ModuleNotFoundError: No module named ''"),
        ("no-colon", "", "it cannot be imported"),
    ],
)
def test_mistakes_are_one_line(folder: Path, name: str, source: str | bytes, message: str) -> None:
    (folder / "mine.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(InputError) as caught:
        load_function(name)
    assert message.format(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_file_is_not_a_module(folder: Path) -> None:
    (folder / "mine.py").write_text("import sys\nsys.mine = __name__\n1/0\n")
    with pytest.raises(InputError):
        load_file("mine.py")
    name = sys.__dict__.pop("mine")
    assert name not in sys.modules


def test_the_place_is_a_line_of_the_user_not_of_a_library(folder: Path) -> None:
    (folder / "mine.py").write_text("import json\ndef f():\n    return inner()\ndef inner():\n    json.loads('{')\n")
    function = load_function("mine.py:f")
    with pytest.raises(ValueError, match="Expecting") as caught:
        function()
    assert place_of(caught.value) == f"{folder}/mine.py:5"


def test_explanations_are_one_line() -> None:
    assert explain(ValueError("a\n b")) == "ValueError: a b"
    assert explain(KeyError()) == "KeyError"
