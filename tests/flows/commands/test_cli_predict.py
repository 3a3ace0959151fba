"""`nerbench predict`: its output as text and as JSON, with and without colours."""

import json
import re
from pathlib import Path

import pytest
from rich.console import Console
from tiny_models import LABELS, let_tokenizer_panic, save_bag, save_bert

from nerbench.flows.cli import status_of
from nerbench.flows.commands import predict

SENTENCE = "Ada Lovelace lives in Zanzibar ."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_bag(tmp_path_factory.mktemp("predict"), lambda piece: piece % len(LABELS)))


@pytest.fixture(scope="module")
def panicking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return let_tokenizer_panic(save_bert(tmp_path_factory.mktemp("broken") / "panicking"), "(a+)+$")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    assert status_of(["predict", *arguments]) == 0
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_entities_are_marked_with_brackets_without_colours(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = run(capsys, model, SENTENCE)
    assert out.count("\n") == 1
    assert re.search(r"\[[^]]+ (LOC|PER) [01]\.\d\d\]", out)
    assert re.sub(r"\[(.+?) (LOC|PER) [01]\.\d\d\]", r"\1", out) == f"{SENTENCE}\n"


def test_json_lines_have_the_same_entities(model: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.txt").write_text(f"{SENTENCE}\n\nGrace Hopper\n")
    out, err = run(capsys, model, "text.txt", "--json")
    first, second = map(json.loads, out.splitlines())
    assert (first["line"], second["line"], err) == (1, 3, "")
    assert [token["text"] for token in first["tokens"]] == SENTENCE.split()
    plain, _ = run(capsys, model, "text.txt")
    assert [len(one["entities"]) for one in (first, second)] == [line.count("[") for line in plain.splitlines()]
    assert set(first["tokens"][0]) == {"text", "start", "end", "tag", "score"}
    assert set(first["entities"][0]) == {"text", "label", "start", "end", "score"}


def test_a_recognised_conll_file_is_reported(model: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.txt").write_text("".join(f"{word} O\n" for word in SENTENCE.split()))
    out, err = run(capsys, model, "text.txt", "--json")
    assert json.loads(out)["text"] == SENTENCE
    assert err == "text.txt is read as CoNLL text, its words from the first column; --format text reads lines\n"
    assert run(capsys, model, "text.txt", "--json", "--format", "conll")[1] == ""


def test_a_text_longer_than_a_file_name_is_a_text(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    for text in (f"{SENTENCE} " * 100, "Zanzibar" * 40, f"see s3://bucket/key , {SENTENCE}"):
        out, _ = run(capsys, model, text, "--json")
        assert json.loads(out)["text"] == text


def test_a_file_can_be_given(model: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "Ada").write_text(SENTENCE)
    assert run(capsys, model, "--file", "Ada", "--json") == run(capsys, model, SENTENCE, "--json")


def test_a_conllu_file_is_read_like_a_corpus(model: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blank = "\t_" * 8
    lines = ["# sent_id = 1", "# text = Lovelace lives .", f"1-2\tLovelace lives{blank}"]
    lines += [f"{number}\t{word}{blank}" for number, word in enumerate(("Lovelace", "lives", "."), start=1)]
    (folder / "a.conllu").write_text("\n".join([*lines, "", "# sent_id = 2", f"1\tZanzibar{blank}", ""]))
    out, err = run(capsys, model, "a.conllu", "--json")
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["Lovelace lives .", "Zanzibar"]
    assert err == "a.conllu is read as CoNLL text, its words from column 2; --format text reads lines\n"


def test_a_tokenizer_that_panics_is_one_line(folder: Path, panicking: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert status_of(["predict", str(panicking), f"{'a' * 200}b"]) == 1
    (said,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("nerbench: ")]
    assert said.startswith("nerbench: panicking: the tokenizer failed (PanicException: ")


def test_words_of_a_sentence_need_no_quotes(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, model, *SENTENCE.split()) == run(capsys, model, SENTENCE)


@pytest.mark.parametrize(("no_color", "marked"), [(False, False), (True, True)])
def test_colours_are_used_on_a_colour_terminal(
    model: str, no_color: bool, marked: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def screen() -> Console:
        return Console(width=40, force_terminal=True, color_system="standard", no_color=no_color)

    monkeypatch.setattr(predict, "console", screen)
    out, _ = run(capsys, model, SENTENCE)
    assert ("[Ada" in out or " LOC 0" in out or " PER 0" in out) or not marked
    assert ("\x1b[" in out) == (not marked)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in out.splitlines()) <= 40


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "TEXT"),
        ((" ",), "is empty"),
        (("nowhere.txt",), "nowhere.txt: there is no such file"),
        (("./nowhere",), "./nowhere: there is no such file"),
        ((".",), "is a folder"),
        (("empty.txt",), "empty.txt: holds no word"),
        (("binary.bin",), "is not utf-8"),
        (("nul.txt",), "nul.txt:1: holds a NUL byte"),
        (("x y", "--encoding", "klingon"), "--encoding: 'klingon' is not known"),
        (("x y", "--file", "nul.txt"), "--file: cannot be combined with a TEXT"),
        (("--file", "nowhere"), "nowhere: No such file"),
        (("x y", "--format", "xml"), "--format"),
        (("x y", "--mode", "lax"), "--mode"),
        (("x y", "--set", "benchmark.device=cuda:9"), "cuda:9"),
    ],
)
def test_errors_of_users(
    model: str, folder: Path, arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "empty.txt").write_text("\n \n")
    (folder / "binary.bin").write_bytes(b"\x7fELF\x80\xff")
    (folder / "nul.txt").write_bytes(b"a\0b")
    assert status_of(["predict", model, *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert says in printed.err


def test_an_unknown_model_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["predict", "nobody", SENTENCE]) == 2
    assert "'nobody'" in capsys.readouterr().err
