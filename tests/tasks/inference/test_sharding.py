"""Shards of an evaluation: joined, they equal the unsharded evaluation; each is inferred once."""

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tiny_models import SENTENCES

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import resolve
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.data.arrow_cache import CHUNK
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference import evaluation_cache, prediction
from nerbench.tasks.inference.evaluation_cache import (
    EvaluationPlan,
    EvaluationRecord,
    Shard,
    carry_out,
    evaluation_folder,
    plan,
)
from nerbench.tasks.inference.prediction import BlockPredictions
from nerbench.tasks.inference.prediction_files import infer
from nerbench.tasks.inference.sharding import find_shards, join_shards, split_corpus

BLOCKS = 5


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model, and a corpus of five blocks."""

    artifact: ArtifactRef
    corpus: Corpus
    results: str

    def plan(self, **changes: Any) -> EvaluationPlan:
        benchmark = BenchmarkConfig.model_validate({"device": "cpu"} | changes)
        return plan(self.artifact, self.corpus.words_sha256, benchmark, self.results)

    def find(self, shards: int, **changes: Any) -> list[Shard]:
        runs = split_corpus(self.corpus, shards)
        return find_shards(self.plan(**changes), runs, self.results)

    def infer(self, shards: Sequence[Shard]) -> list[EvaluationRecord]:
        return [carry_out(self.plan(), self.artifact, self.corpus, self.results, shard=shard) for shard in shards]

    def join(self, records: Sequence[EvaluationRecord]) -> EvaluationRecord:
        return join_shards(self.plan(), records, self.results)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "BLOCK", 3)


@pytest.fixture
def case(tiny_model_folder: Path, tmp_path: Path) -> Case:
    words = ([*SENTENCES, ["\u200b", "Ada"]] * 3)[: BLOCKS * 3 - 1]
    tags = [["O"] * len(sentence) for sentence in words]
    documents = [number // 4 for number in range(len(words))]
    return Case(
        artifact=resolve(str(tiny_model_folder), "")[0],
        corpus=Corpus(name="own", split="test", words=words, tags=tags, documents=documents),
        results=str(tmp_path / "results"),
    )


@pytest.fixture
def inferred(monkeypatch: pytest.MonkeyPatch) -> list[range]:
    """The blocks of every inference."""
    seen: list[range] = []
    honest = evaluation_cache.infer

    def noted(*arguments: Any, blocks: range, **options: Any) -> Any:
        seen.append(blocks)
        return honest(*arguments, blocks=blocks, **options)

    monkeypatch.setattr(evaluation_cache, "infer", noted)
    return seen


def without_time(record: EvaluationRecord) -> EvaluationRecord:
    return record.model_copy(update={"evaluate_s": 0.0})


@pytest.mark.parametrize(
    ("shards", "sizes"), [(1, [5]), (2, [2, 3]), (3, [1, 2, 2]), (5, [1] * 5), (9, [1] * 5)], ids=str
)
def test_a_corpus_is_cut_into_whole_blocks_of_nearly_equal_number(case: Case, shards: int, sizes: list[int]) -> None:
    runs = split_corpus(case.corpus, shards)
    assert [len(run) for run in runs] == sizes
    assert [block for run in runs for block in run] == list(range(BLOCKS))


def test_more_shards_than_blocks_are_one_line(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        split_corpus(case.corpus, BLOCKS)
        assert caplog.messages == []
        split_corpus(case.corpus, 9)
    assert caplog.messages == ["own: 9 shards are more than its blocks of sentences; it has 5"]


@pytest.mark.parametrize("shards", [1, 2, pytest.param(5, marks=pytest.mark.slow)])
def test_joined_shards_are_the_evaluation_in_one_piece_to_the_byte(case: Case, shards: int) -> None:
    whole = carry_out(case.plan(), case.artifact, case.corpus, case.results)
    Path(case.results, whole.path).unlink()
    joined = case.join(case.infer(case.find(shards)))
    assert without_time(joined) == without_time(whole)
    assert case.plan().record == joined
    assert pq.read_metadata(Path(case.results, joined.path)).num_row_groups == BLOCKS


FIELDS = "evaluate_s ignored_keys key labels predictions_digest sha256 truncated vanished words".split()


def test_records_of_earlier_releases_are_written_and_read(case: Case) -> None:
    """The content of `record.json` of evaluations and shards has not changed, so that old ones hit."""
    whole = carry_out(case.plan(), case.artifact, case.corpus, case.results)
    first, _ = case.infer(case.find(2))
    written = [Path(case.results, record.folder, "record.json") for record in (whole, first)]
    stored = [json.loads(path.read_bytes()) for path in written]
    assert [sorted(one) for one in stored] == [FIELDS, sorted([*FIELDS, "first", "stop"])]
    assert written[1].parent == written[0].parent / "shards/0-2"
    assert (stored[1]["first"], stored[1]["stop"]) == (0, 2)
    for path, one in zip(written, stored, strict=True):
        path.write_text(json.dumps(one))
    assert case.plan().record == whole
    assert case.find(2)[0].record == first


def test_a_record_of_a_shard_is_not_one_of_the_whole(case: Case) -> None:
    first, _ = case.infer(case.find(2))
    folder = Path(case.results, evaluation_folder(first.key))
    shutil.copy(folder / "shards/0-2/record.json", folder)
    assert case.plan().state == "altered"


def test_a_shard_has_its_own_words_only(case: Case) -> None:
    first, second = case.infer(case.find(2))
    lengths = [len(sentence) for sentence in case.corpus.words]
    assert (first.words, second.words) == (sum(lengths[:6]), sum(lengths[6:]))
    rows = pq.read_table(Path(case.results, second.path)).to_pylist()
    assert [row["word"] for row in rows] == list(range(sum(lengths[:6]), sum(lengths)))
    assert (rows[0]["sentence"], rows[0]["document"]) == (6, 1)


def test_blocks_in_any_chunk_of_the_corpus_get_their_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [[f"w{number}"] * (1 + number % 2) for number in range(2 * CHUNK + 3)]
    seen: list[list[str]] = []

    def predict(tagger: object, sentences: Iterable[list[str]], **options: object) -> Iterator[BlockPredictions]:
        for block in batched(sentences, CHUNK - 1):
            seen.extend(block)
            n = sum(map(len, block))
            yield BlockPredictions(np.zeros(n, np.int32), np.ones(n, np.float32), truncated=0, pieces=n)

    monkeypatch.setattr(prediction, "predict", predict)
    monkeypatch.setattr(prediction, "BLOCK", CHUNK - 1)
    corpus = Corpus(name="own", split="test", words=words, tags=words, documents=None)
    tagger: Any = SimpleNamespace(labels=("O",))
    rows: list[int] = []
    for run in split_corpus(corpus, 3):
        infer(tmp_path / "shard", tagger, corpus, aggregation_strategy="first", blocks=run, on_progress=str)
        rows += pq.read_table(tmp_path / "shard")["sentence"].to_pylist()
    assert seen == words
    assert rows == [number for number, sentence in enumerate(words) for _ in sentence]


def batched(items: Iterable[list[str]], size: int) -> Iterator[list[list[str]]]:
    iterator = iter(items)
    return iter(lambda: list(islice(iterator, size)), [])


@pytest.mark.slow
def test_stored_shards_are_not_inferred_again(case: Case, inferred: list[range]) -> None:
    records = case.infer(case.find(3))
    assert inferred == [range(1), range(1, 3), range(3, 5)]
    again = case.find(3)
    assert [shard.record for shard in again] == records
    assert case.infer(again) == records
    assert len(inferred) == 3


@pytest.mark.slow
def test_only_a_killed_shard_is_repeated(case: Case, inferred: list[range], monkeypatch: pytest.MonkeyPatch) -> None:
    honest = prediction.predict_block
    calls = iter(range(99))

    def dies_in_the_third_block(*arguments: Any, **options: Any) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return honest(*arguments, **options)

    found = case.find(3)
    with monkeypatch.context() as patch:
        patch.setattr(prediction, "predict_block", dies_in_the_third_block)
        with pytest.raises(KeyboardInterrupt):
            case.infer(found)
    assert inferred == [range(1), range(1, 3)]
    found = case.find(3)
    assert [shard.record is None for shard in found] == [False, True, True]
    case.join(case.infer(found))
    assert inferred[2:] == [range(1, 3), range(3, 5)]


def test_a_refresh_infers_every_shard_again(case: Case, inferred: list[range]) -> None:
    case.infer(case.find(2))
    assert [shard.record for shard in case.find(2, refresh=True)] == [None, None]


@pytest.mark.slow
def test_shards_of_other_sizes_are_independent(case: Case) -> None:
    two, five = case.infer(case.find(2)), case.infer(case.find(5))
    assert without_time(case.join(two)) == without_time(case.join(five))


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [flip_a_byte, Path.unlink])
def test_an_altered_shard_is_reported_and_inferred_again(
    case: Case, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    first, _ = case.infer(case.find(2))
    spoil(Path(case.results, first.path))
    with caplog.at_level(logging.WARNING):
        found = case.find(2)
    assert [shard.record is None for shard in found] == [True, False]
    (said,) = caplog.messages
    assert said.startswith("tiny, shard 1 of 2: its cached predictions in ")
    assert said.endswith(f"{first.folder} are missing or altered; inferring again")


def test_a_shard_that_is_spoiled_before_it_is_joined_is_refused(case: Case) -> None:
    records = case.infer(case.find(2))
    flip_a_byte(Path(case.results, records[1].path))
    with pytest.raises(CorruptArtifactError, match="not what was written"):
        case.join(records)
    assert case.plan().state == "missing"
