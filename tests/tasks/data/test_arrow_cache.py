"""Columns behave like lists; reading keeps one chunk of sentences in memory, and the words of a large corpus stay on
disk."""

import gc
import tracemalloc
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from psutil import Process

from nerbench.artifacts.errors import CorpusError
from nerbench.artifacts.unnamed_files import IN_MEMORY
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.arrow_cache import CHUNK, Column, array_from_blocks, blocks_of, table_from_batches
from nerbench.tasks.data.corpus import Corpus, annotation, read_whole
from nerbench.tasks.data.readers import Sentence, Source
from nerbench.tasks.data.tag_schemes import SchemeEvidence
from nerbench.tasks.inference.prediction_files import PredictionsDigest, digest_of, positions

WORD = "x" * 300
DATASET = DatasetConfig(name="toy", format="conll", files={"test": "toy.txt"})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the unnamed files, to which even small data goes."""
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("nerbench.artifacts.unnamed_files.IN_MEMORY", 1)
    return tmp_path / "cache"


def test_a_usual_corpus_takes_no_descriptor(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many corpora, their perturbations and the tables of many models exist at once."""
    monkeypatch.setattr("nerbench.artifacts.unnamed_files.IN_MEMORY", IN_MEMORY)
    before = Process().num_fds()
    sentences = (Sentence(["EU", "rejects"], ["B-ORG", "O"], number // 9, number) for number in range(2 * CHUNK))
    evidence = SchemeEvidence("auto")
    whole = read_whole(source(sentences), evidence)
    tags = annotation(whole, evidence.scheme(""), DATASET, None, source(iter([])))["tags"]
    numbers = array_from_blocks([np.arange(1 << 16)], np.int64)
    assert Process().num_fds() == before
    assert not cache.exists()
    assert (whole.words[-1], tags[-1], numbers[-1]) == (["EU", "rejects"], ["B-ORG", "O"], (1 << 16) - 1)


def source(sentences: Iterator[Sentence]) -> Source:
    return Source("here", sentences, lambda at, word: f"{at}:{word}")


def test_a_large_corpus_takes_little_memory(cache: Path) -> None:
    sentences, words = 9 * CHUNK, 6
    ahead = 0

    def read() -> Iterator[Sentence]:
        nonlocal ahead
        for number in range(sentences):
            ahead = number
            yield Sentence([f"{WORD}{number}{i}" for i in range(words)], ["O"] * words, number // 100, number)

    its = sentences * words * len(WORD)
    pa.array([["a"]])  # where pandas is installed, this imports it
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    whole = read_whole(source(read()), SchemeEvidence("auto"))
    corpus = Corpus(name="big", split="test", words=whole.words, tags=[], documents=whole.documents)
    digest = corpus.words_sha256
    last = [rows.word[-1] for rows in positions(corpus, CHUNK)][-1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (ahead, last, len(digest)) == (sentences - 1, sentences * words - 1, 64)
    assert corpus.words[-1][-1].endswith(f"{sentences - 1}{words - 1}")
    assert peak < its / 3, "the words of more than a few chunks were held at once"
    assert pa.total_allocated_bytes() - before < its / 20
    assert list(cache.iterdir()) == [], "the file has a name, and would stay after a crash"


def test_documents_are_numbered_by_their_changes() -> None:
    def numbers(*documents: object) -> list[int] | None:
        items = (Sentence(["a"], ["O"], document, 0) for document in documents)
        found = read_whole(source(items), SchemeEvidence("auto")).documents
        return None if found is None else list(found)

    assert numbers(None, None) is None
    assert numbers(None, 1, 1, 3) == [0, 1, 1, 2]
    assert numbers(7, 7, "a") == [0, 0, 1]


def test_half_a_character_is_refused_with_its_place() -> None:
    items = (Sentence(["a", word], ["O", "O"], None, number) for number, word in enumerate(["b", "\ud800", "c"]))
    with pytest.raises(CorpusError, match=r"^1:1: the word '\\ud800' holds half a character"):
        read_whole(source(items), SchemeEvidence("auto"))


def test_more_words_than_tables_can_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nerbench.tasks.data.arrow_cache.MOST_WORDS", 3)
    for n, refused in ((3, nullcontext()), (4, pytest.raises(CorpusError, match="here: holds 4 words, more than 3;"))):
        with refused:
            read_whole(source(Sentence(["a"], ["O"], None, number) for number in range(n)), SchemeEvidence("auto"))


def test_positions_do_not_depend_on_the_parts() -> None:
    lengths = [1, 3, 2, 4, 1]
    words = [["w"] * n for n in lengths]
    corpus = Corpus(name="toy", split="test", words=words, tags=words, documents=[0, 0, 1, 1, 2])
    (whole,) = positions(corpus, 10)
    assert whole.document.tolist() == [0] * 4 + [1] * 6 + [2]
    assert whole.sentence.tolist() == [0, 1, 1, 1, 2, 2, 3, 3, 3, 3, 4]
    assert whole.word.tolist() == list(range(11))
    for sentences in (1, 2, 5):
        parts = list(positions(corpus, sentences))
        for i in range(3):
            assert [number for part in parts for number in part[i]] == list(whole[i])
        assert all(a.word[-1] + 1 == b.word[0] for a, b in pairwise(parts))
    tags = ["O", "B-X", "I-X", *["O"] * 8]
    digest = PredictionsDigest()
    digest.update(*whole, tags)
    assert digest_of(corpus, pa.array(tags).dictionary_encode()) == digest.hexdigest()


@pytest.mark.parametrize("n", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_column_is_its_sentences(n: int) -> None:
    random = Random(n)
    sentences = [[f"w{number}", "", "ü\ud7ff\U0001f600"][: random.randint(0, 3)] for number in range(n)]
    column = Column.of(sentences)
    assert column == sentences
    assert list(column) == sentences
    assert column != [*sentences, ["more"]]
    assert column[: n // 2] == sentences[: n // 2]
    assert column[::-701] == sentences[::-701]
    assert [column[number] for number in range(-n, n)] == [sentences[number] for number in range(-n, n)]
    assert column.lengths.tolist() == [len(sentence) for sentence in sentences]
    assert column.flat.to_pylist() == [text for sentence in sentences for text in sentence]
    assert Column.of(column) is column
    with pytest.raises(IndexError):
        column[n]


def test_a_large_table_takes_no_memory(cache: Path) -> None:
    schema = pa.schema({"tag": pa.dictionary(pa.int32(), pa.string()), "number": pa.int64()})

    def batch(start: int) -> pa.RecordBatch:
        numbers = pa.array(range(start, start + 10_000), pa.int64())
        tags = pa.DictionaryArray.from_arrays(pa.array([0, 1] * 5_000, pa.int32()), ["O", "B-PER"])
        return pa.record_batch([tags, numbers], schema=schema)

    before = pa.total_allocated_bytes()
    table = table_from_batches(map(batch, range(0, 200_000, 10_000)), schema)
    assert pa.total_allocated_bytes() - before < table.nbytes / 20
    assert table["number"].to_pylist() == list(range(200_000))
    assert table["tag"].to_pylist() == ["O", "B-PER"] * 100_000
    assert list(cache.iterdir()) == [], "the file has a name, and would stay after a crash"


def test_sentences_leave_nothing_in_memory() -> None:
    """After reading, a corpus of few chunks and one of many take the same memory."""
    held = []
    for n in (1, 2, 20):
        sentences = (Sentence(["a"], ["O"], number // 15, number) for number in range(n * CHUNK))
        tracemalloc.start()
        whole = read_whole(source(sentences), SchemeEvidence("auto"))
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert whole.documents is not None
        assert (len(whole.at), whole.at[-1], whole.documents[-1]) == (n * CHUNK, n * CHUNK - 1, (n * CHUNK - 1) // 15)
    assert held[2] - held[1] < 18 * CHUNK, "less than a byte per sentence"


@pytest.mark.parametrize("sizes", [[], [0], [3, 0, 70_000]])
def test_an_array_is_its_blocks(cache: Path, sizes: list[int]) -> None:
    blocks = [np.arange(size, dtype=np.int64)[::-1] for size in sizes]
    found = array_from_blocks(iter(blocks), np.int64)
    expected = np.concatenate([np.array([], np.int64), *blocks])
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()
    assert [one for block in blocks_of(found) for one in block.tolist()] == expected.tolist()
    assert all(0 < len(block) <= 1 << 16 for block in blocks_of(found))
    found.sort()
    assert found.tolist() == sorted(expected.tolist())
    assert list(cache.glob("*")) == []
