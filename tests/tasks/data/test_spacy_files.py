"""Binary files of spaCy: what its process gives, and what happens if it fails."""

import os
import subprocess
from pathlib import Path

import pytest

from nerbench.artifacts.errors import CorpusError, InputError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.data.spacy_files import read_spacy

SPACY = os.environ.get("NERBENCH_SPACY_PYTHON", str(Path(__file__).resolve().parents[4] / "spacy-venv/bin/python"))
MAKE = """
import sys, spacy
from spacy.tokens import DocBin, Span
nlp, found = spacy.blank("en"), DocBin()
for text, ents in [("Anna Berg went to  Oslo .", [(0, 2, "PER"), (5, 6, "LOC")]), ("Nothing here .", [])]:
    doc = nlp(text)
    doc.ents = [Span(doc, *ent) for ent in ents]
    if ents:
        doc[3].is_sent_start = True
    found.add(doc)
found.to_disk(sys.argv[1])
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "test.spacy"
    path.write_bytes(b"x")
    return str(path)


def read(file: str, python: str) -> list[tuple[list[str], list[str], object]]:
    source = read_spacy(file, DatasetConfig(name="d", format="spacy", files={"test": file}, python=python))
    return [(one.words, one.tags, one.document) for one in source.sentences]


def interpreter(folder: Path, script: str) -> str:
    """A program in place of an interpreter."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


def test_the_lines_of_the_process_are_sentences(file: str, tmp_path: Path) -> None:
    lines = '[0, ["Anna", "went"], ["B-PER", "O"]]\n[1, ["Oslo"], ["B-LOC"]]'
    found = read(file, interpreter(tmp_path, f"echo '{lines}'"))
    assert found == [(["Anna", "went"], ["B-PER", "O"], 0), (["Oslo"], ["B-LOC"], 1)]


def test_the_process_gets_no_secrets(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(CorpusError) as refused:
        read(file, interpreter(tmp_path, 'env >&2; echo "$HF_TOKEN" >&2; exit 1'))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'No module named spacy' >&2; exit 1", r"cannot be read by spaCy.*No module named spacy"),
        ("echo '[0, [\"Anna\"'", "not valid JSON"),
        ('echo \'[0, ["Anna", "Berg"], ["O"]]\'', "2 words"),
        ("kill -9 $$", "cannot be read by spaCy"),
    ],
)
def test_a_failure_names_the_file_in_one_line(file: str, tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message) as refused:
        read(file, interpreter(tmp_path, script))
    assert file in str(refused.value)
    assert "\n" not in str(refused.value)


def test_only_local_files_and_existing_interpreters_are_used(file: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="not a local file"):
        read("s3://bucket/test.spacy", "python3")
    with pytest.raises(CorpusError, match="cannot be started"):
        read(file, str(tmp_path / "nothing"))


def test_only_the_format_spacy_has_an_interpreter(file: str) -> None:
    with pytest.raises(ValueError, match="`python` has no effect"):
        DatasetConfig(name="d", format="conll", files={"test": file}, python="python3")


@pytest.mark.slow
@pytest.mark.skipif(not Path(SPACY).exists(), reason="needs spaCy in its environment")
def test_spacy_reads_its_own_file(tmp_path: Path) -> None:
    file = str(tmp_path / "real.spacy")
    subprocess.run([SPACY, "-c", MAKE, file], check=True)
    assert read(file, SPACY) == [
        (["Anna", "Berg", "went"], ["B-PER", "I-PER", "O"], 0),
        (["to", "Oslo", "."], ["O", "B-LOC", "O"], 0),
        (["Nothing", "here", "."], ["O", "O", "O"], 1),
    ]
    corpus = load_splits(DatasetConfig(name="d", format="spacy", files={"test": file}, python=SPACY))["test"]
    assert (corpus.n_words, corpus.types) == (9, ["LOC", "PER"])
    (tmp_path / "bad.spacy").write_bytes(b"no DocBin")
    with pytest.raises((CorpusError, InputError), match="cannot be read by spaCy"):
        read(str(tmp_path / "bad.spacy"), SPACY)
