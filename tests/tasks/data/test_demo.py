"""The demo corpus: the same bytes everywhere, and hard enough for meaningful scores."""

import errno
import hashlib
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import Config, Split
from nerbench.tasks.config.loading import DEMO_SENTENCES, is_demo_file, load_config
from nerbench.tasks.data.demo import prepare_demo, write_demo_corpus

ROOT = Path(__file__).resolve().parents[3]
Sentence = list[tuple[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def corpus(folder: Path) -> dict[str, list[Sentence]]:
    """Words with tags by split."""
    return {split: sentences(folder / f"{split}.txt") for split in DEMO_SENTENCES}


def sentences(file: Path) -> list[Sentence]:
    """Sentences by a minimal reader that is independent of the project's."""
    blocks = file.read_text().split("\n\n")
    found = [[(line.split()[0], line.split()[1]) for line in block.splitlines()] for block in blocks if block.strip()]
    return [sentence for sentence in found if sentence[0][0] != "-DOCSTART-"]


def entities(sentence: Sentence) -> list[tuple[str, ...]]:
    """Type and words of each entity."""
    found: list[tuple[str, ...]] = []
    for word, tag in sentence:
        if tag.startswith("B-"):
            found.append((tag[2:], word))
        elif tag.startswith("I-"):
            found[-1] += (word,)
    return found


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_every_process_writes_the_same_bytes(seed: str, folder: Path, tmp_path: Path) -> None:
    imports = "from pathlib import Path; from nerbench.tasks.data.demo import write_demo_corpus"
    code = f"{imports}; write_demo_corpus(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed})
    for split in DEMO_SENTENCES:
        assert (tmp_path / f"{split}.txt").read_bytes() == (folder / f"{split}.txt").read_bytes()


def test_every_machine_writes_the_same_bytes(folder: Path) -> None:
    text = b"".join((folder / f"{split}.txt").read_bytes() for split in DEMO_SENTENCES)
    assert hashlib.sha256(text).hexdigest() == "85ed327620677efae7b96fe044693f23320ebfc6df13904de548866e18659604"


def test_a_second_call_rewrites_only_changed_files(folder: Path, tmp_path: Path) -> None:
    write_demo_corpus(tmp_path)
    for file in tmp_path.iterdir():
        os.utime(file, ns=(1, 1))
    (tmp_path / "test.txt").write_text("changed O\n")
    write_demo_corpus(tmp_path)
    assert (tmp_path / "train.txt").stat().st_mtime_ns == 1
    assert (tmp_path / "test.txt").read_bytes() == (folder / "test.txt").read_bytes()


def test_each_split_has_its_sentences_in_documents(corpus: dict[str, list[Sentence]], folder: Path) -> None:
    assert {split: len(found) for split, found in corpus.items()} == DEMO_SENTENCES
    assert set(DEMO_SENTENCES) == set(get_args(Split))
    for split, count in DEMO_SENTENCES.items():
        assert (folder / f"{split}.txt").read_text().count("-DOCSTART-") == count // 10


def test_tags_are_iob2_of_the_four_types(corpus: dict[str, list[Sentence]]) -> None:
    for found in corpus.values():
        types = Counter(tag[2:] for sentence in found for _, tag in sentence if tag != "O")
        assert set(types) == {"PER", "LOC", "ORG", "MISC"}
        assert min(types.values()) > 0.05 * types.total()
        for sentence in found:
            before = "O"
            for _, tag in sentence:
                assert tag == "O" or tag[:2] == "B-" or (tag[:2] == "I-" and before[2:] == tag[2:]), sentence
                before = tag


def test_no_sentence_occurs_twice(corpus: dict[str, list[Sentence]]) -> None:
    everything = [tuple(word for word, _ in sentence) for found in corpus.values() for sentence in found]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_held_out_splits_mix_known_names_with_names_unseen_in_training(
    split: str, corpus: dict[str, list[Sentence]]
) -> None:
    train = {entity for sentence in corpus["train"] for entity in entities(sentence)}
    words = {word for sentence in corpus["train"] for word, _ in sentence}
    held_out = [entity for sentence in corpus[split] for entity in entities(sentence)]
    unseen = [entity for entity in held_out if entity not in train]
    of_unseen_words = [entity for entity in held_out if not words & set(entity[1:])]
    assert 0.3 < len(unseen) / len(held_out) < 0.9
    assert {kind for kind, *_ in of_unseen_words} == {"PER", "LOC", "ORG", "MISC"}


def test_some_names_mean_several_types(corpus: dict[str, list[Sentence]]) -> None:
    types: dict[tuple[str, ...], set[str]] = {}
    for sentence in corpus["test"]:
        for kind, *name in entities(sentence):
            types.setdefault(tuple(name), set()).add(kind)
    assert sum(len(kinds) > 1 for kinds in types.values()) >= 5


def test_only_missing_files_of_the_demonstration_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(None)
    edited = tmp_path / "var" / "demo" / "test.txt"
    edited.parent.mkdir(parents=True)
    edited.write_text("mine O\n")
    prepare_demo(config)
    assert edited.read_text() == "mine O\n"
    assert sorted(path.name for path in edited.parent.iterdir()) == ["test.txt", "train.txt", "validation.txt"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path, _: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nerbench.tasks.data.demo.write_demo_corpus", refuse)
    with pytest.raises(InputError, match=r"demo: cannot be written .*; start nerbench in a folder"):
        prepare_demo(load_config(None))


def test_nothing_is_written_for_a_users_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prepare_demo(Config.model_validate({"datasets": [{"name": "own", "files": {"test": str(tmp_path / "test.txt")}}]}))
    assert list(tmp_path.iterdir()) == []
    assert is_demo_file(str(tmp_path / "var" / "demo" / "test.txt"))
    assert not is_demo_file(str(tmp_path / "demo" / "test.txt"))
