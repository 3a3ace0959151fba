"""Taggers in real processes: allowed behaviour, and one line for each error."""

import ast
import shutil
import time
from pathlib import Path

import psutil
import pytest
from tiny_taggers import CAPITALS, impatient, tiny_tagger

import nerbench
from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.tasks.config import TaggerConfig
from nerbench.tasks.inference.tagger_process import TaggedSentence, find_adapter, running_tagger

SENTENCES = [["Anna", "left", "Oslo"], ["rain", "fell"], ["Acme", "won"]]
ADAPTERS = Path(str(nerbench.__file__)).parent / "taggers"


@pytest.fixture(autouse=True)
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERBENCH_CODE", str(tmp_path))


def is_gone(pid: int) -> bool:
    """Whether a process that was killed ends within 30 seconds, possibly as a zombie: the kernel needs a moment."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def tags(config: TaggerConfig) -> list[list[str]]:
    with running_tagger(config) as tagger:
        return [tagged.tags for tagged in tagger.predict(SENTENCES)]


def test_tags_of_every_sentence(tmp_path: Path) -> None:
    assert tags(tiny_tagger(tmp_path)) == [["B-PER", "O", "B-PER"], ["O", "O"], ["B-PER", "O"]]


def test_spans_become_tags_and_the_best_of_overlapping_spans_is_kept(tmp_path: Path) -> None:
    predict = "yield [(0, 1, 'PER', 0.5), (0, 2, 'ORG', 0.9), (2, 3, 'LOC', None)]\nyield []\nyield ((0, 2, 'ORG', 1),)"
    with running_tagger(tiny_tagger(tmp_path, predict)) as tagger:
        first, *rest = tagger.predict(SENTENCES)
    assert first == TaggedSentence(["B-ORG", "I-ORG", "B-LOC"], [0.9, 0.9, None], overlaps=1)
    assert [one.tags for one in rest] == [["O", "O"], ["B-ORG", "I-ORG"]]


def test_many_batches_give_the_same_as_one(tmp_path: Path) -> None:
    with running_tagger(tiny_tagger(tmp_path)) as tagger:
        found = [one.tags for one in tagger.predict(SENTENCES * 300)]
    assert found == [["B-PER", "O", "B-PER"], ["O", "O"], ["B-PER", "O"]] * 300


@pytest.mark.parametrize("printing", ["print('junk')", "os.write(1, b'junk')", "subprocess.run(['echo', 'junk'])"])
def test_printed_output_is_not_a_reply(tmp_path: Path, printing: str) -> None:
    assert tags(tiny_tagger(tmp_path, printing + CAPITALS, init=printing))[0] == ["B-PER", "O", "B-PER"]


WRONG = {
    "sys.exit": ("sys.exit('stop')", r"fails \(SystemExit: stop\) at sentence 1 \(Anna left Oslo\)"),
    "raises": (
        CAPITALS + "    if words[0] == 'rain': 1 / 0",
        r"fails \(ZeroDivisionError.*\) at sentence 3 \(Acme won\)",
    ),
    "killed": (
        "for words in sentences:\n    if words[0] == 'rain': os.kill(os.getpid(), signal.SIGKILL)\n    yield []",
        r"was killed by SIGKILL.* at sentence 2 \(rain fell\)",
    ),
    "prints and dies": (
        "sys.stderr.write('no \\x1b[31mmemory\\n')\nsys.stderr.flush()\nos._exit(3)\nyield",
        r"ended with status 3 and no result at sentence 1 .*it printed: no \\x1b\[31mmemory",
    ),
    "few tags": ("for words in sentences:\n    yield ['O']", r"gives 1 tags for 3 words at sentence 1"),
    "many tags": ("for words in sentences:\n    yield ['O'] * 3", r"gives 3 tags for 2 words at sentence 2"),
    "no tag": ("yield ['PER', 'O', 'O']", r"gives 'PER', which is neither O nor B-TYPE.* at sentence 1"),
    "few results": ("yield ['O', 'O', 'O']", r"gives no result at sentence 2 \(rain fell\)"),
    "many results": (CAPITALS + "yield ['O']", r"fails \(ValueError: the tagger gives more results.*after sentence 3"),
    "span outside": ("yield [(0, 4, 'PER', None)]", r"not a \[start, end, type, score\] of 3 words, at sentence 1"),
    "span backwards": ("yield [(2, 1, 'PER', None)]", r"not a \[start, end, type, score\]"),
    "score": ("yield [(0, 1, 'PER', 1.5)]", r"not a \[start, end, type, score\]"),
    "type": ("yield [(0, 1, 'P R\\n', 0.5)]", r"not a \[start, end, type, score\]"),
    "mixed": ("yield ['O'] * 3\nyield []", r"gives spans, after tags for earlier sentences at sentence 2"),
    "nothing": ("return None", r"fails \(TypeError: .*\) at sentence 1"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_error_of_a_tagger_is_one_line_that_names_the_sentence(tmp_path: Path, wrong: str) -> None:
    predict, message = WRONG[wrong]
    with pytest.raises(RunFailedError, match=message) as caught:
        tags(tiny_tagger(tmp_path, predict))
    assert str(caught.value).startswith("tagger mine: ")
    assert "\n" not in str(caught.value)


def test_an_undeclared_label(tmp_path: Path) -> None:
    config = tiny_tagger(tmp_path, init="self.labels = ['LOC', 'ORG']")
    with pytest.raises(RunFailedError, match=r"gives the label 'PER', which is none of its labels at sentence 1"):
        tags(config)
    assert tags(tiny_tagger(tmp_path, init="self.labels = ['O', 'B-PER']"))[1] == ["O", "O"]


def test_a_hanging_tagger_is_stopped_with_its_children(tmp_path: Path) -> None:
    predict = f"""
    child = subprocess.Popen(['sleep', '1000'])
    open({str(tmp_path / "pid")!r}, 'w').write(str(child.pid))
    time.sleep(1000)
    yield
    """
    expected = r"gives no reply in time \(timeout_s\) at sentence 1 \(Anna left Oslo\)"
    with pytest.raises(RunFailedError, match=expected), running_tagger(tiny_tagger(tmp_path, predict)) as tagger:
        list(impatient(tagger, 3).predict(SENTENCES))
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_a_tagger_that_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match=r"mine: fails \(ImportError: no such library\) while it loads"):
        tags(tiny_tagger(tmp_path, init="raise ImportError('no such library')"))


def test_no_interpreter(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"models: mine: python: .*/none cannot be started \(No such file"):
        tags(tiny_tagger(tmp_path, python=str(tmp_path / "none")))


def test_the_environment_has_no_secrets_except_named_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "geheim1", "MY_TOKEN": "geheim2", "https_proxy": "http://user:geheim3@proxy"}
    for name, text in (secrets | {"VISIBLE": "x", "LANG": "C.UTF-8"}).items():
        monkeypatch.setenv(name, text)
    seen = tmp_path / "seen"
    init = f"open({str(seen)!r}, 'w').write(json.dumps([dict(os.environ), options]))"
    tags(tiny_tagger(tmp_path, init=init, options={"api_key": "${MY_TOKEN}"}))
    environment, options = ast.literal_eval(seen.read_text())
    assert not {*secrets, "VISIBLE"} & set(environment)
    assert not [text for text in environment.values() if "geheim" in text]
    assert environment["LANG"] == "C.UTF-8"
    assert options == {"api_key": "geheim2"}
    with pytest.raises(RunFailedError, match=r"fails \(ValueError: \$\{MY_TOKEN\}\)"):
        tags(tiny_tagger(tmp_path, init="raise ValueError(options['api_key'])", options={"api_key": "${MY_TOKEN}"}))


def test_only_code_that_may_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny_tagger(tmp_path)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "module.py").write_text((tmp_path / "mine.py").read_text())
    module = config.model_copy(update={"tagger": "package.module:Mine"})
    assert tags(module)[0] == ["B-PER", "O", "B-PER"]
    (tmp_path / "borrowing.py").write_text("from mine import Mine\n")
    with pytest.raises(RunFailedError, match="Mine is defined in mine, not in the adapter"):
        tags(config.model_copy(update={"tagger": f"{tmp_path}/borrowing.py:Mine"}))
    for outside in ("subprocess:Popen", "nerbench.artifacts.store:Store"):
        with pytest.raises(InputError, match="outside the code that may be loaded"):
            find_adapter(config.model_copy(update={"tagger": outside}))
    monkeypatch.setenv("NERBENCH_CODE", str(tmp_path / "package"))
    with pytest.raises(InputError, match="outside the code that may be loaded"):
        tags(config)


def test_a_module_of_the_other_interpreter_that_is_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NERBENCH_CODE", f"{tmp_path},installed_taggers")
    config = TaggerConfig(name="mine", tagger="installed_taggers.mine:Mine")
    assert find_adapter(config) == {"module": "installed_taggers.mine", "name": "Mine"}


def test_a_module_of_the_standard_library_does_not_replace_the_allowed_one(tmp_path: Path) -> None:
    config = tiny_tagger(tmp_path)
    (tmp_path / "json.py").write_text((tmp_path / "mine.py").read_text())
    with pytest.raises(RunFailedError, match=r"ImportError: json is .*, not .*json\.py"):
        tags(config.model_copy(update={"tagger": "json:Mine"}))


@pytest.mark.parametrize("python", ["python3.9", "python3.13"])
def test_another_interpreter(tmp_path: Path, python: str) -> None:
    found = [*Path.home().glob(f".pyenv/versions/{python[6:]}.*/bin/python"), *filter(None, [shutil.which(python)])]
    if not found:
        pytest.skip(f"there is no {python}")
    with running_tagger(tiny_tagger(tmp_path, python=str(found[0]))) as tagger:
        assert next(tagger.predict(SENTENCES)).tags == ["B-PER", "O", "B-PER"]
        assert tagger.ready.versions["python"].startswith(f"{python[6:]}.")


@pytest.mark.parametrize("file", sorted(ADAPTERS.glob("*.py")), ids=lambda file: file.name)
def test_adapters_are_for_python_3_9_and_import_nothing_of_nerbench(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 9))
    found = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    found += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert file.name == "stored_model.py" or not [name for name in found if name.startswith("nerbench")]
