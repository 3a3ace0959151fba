"""Counts from the `predictions` table: the same numbers, and the available slices."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from benched import Benched, bench, valid
from tagging import Sentences, as_dict, paired, random_sentences

from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.tasks.scoring.counts import count, counts_from_table
from nerbench.tasks.scoring.score_predictions import count_predictions
from nerbench.tasks.scoring.stored_predictions import count_stored

GOLD, PREDICTED = random_sentences(5, 60)
GOLD = valid(GOLD)
DOCUMENTS = [number // 4 for number in range(len(GOLD))]
TEXT = {"seen", "unseen", "all_caps", "duplicated"}


def benched(
    folder: Path, gold: Sentences = GOLD, documents: list[int] | None = DOCUMENTS, **sections: object
) -> Benched:
    return bench(folder, gold, PREDICTED, documents, **sections)


def test_the_counts_are_those_of_the_tags(tmp_path: Path) -> None:
    own = benched(tmp_path)
    found, slices = count_stored(own.predicted(), own.config)
    assert slices.unavailable == {}
    every = [one for one in found if one.slice == "all"]
    for one, other in zip(every, count([paired(GOLD, PREDICTED, DOCUMENTS)]), strict=True):
        assert (one.level, one.mode) == (other.level, other.mode)
        for column in ("tp", "n_partial", "n_pred", "n_gold", "n_invalid"):
            assert as_dict(one, column) == as_dict(other, column)


def test_a_mode_that_a_rule_of_the_gate_names_is_counted(tmp_path: Path) -> None:
    own = benched(tmp_path, gate={"rules": [{"mode": "discard", "slice": "first_sentence"}, {"mode": "span"}]})
    found, _ = count_stored(own.predicted(), own.config)
    kinds = {(one.mode, one.slice) for one in found}
    assert {("discard", "first_sentence"), ("span", "all"), ("partial", "all")} < kinds
    (tmp_path / "other").mkdir()
    without = benched(tmp_path / "other", benchmark={"modes": ["strict"]})
    found, _ = count_stored(without.predicted(), without.config)
    assert {one.mode for one in found} == {"strict", "tag"}


def test_they_are_the_counts_of_the_run_slice_by_slice(tmp_path: Path) -> None:
    own = benched(tmp_path, slices=[{"name": "sure", "where": "score > 0.8"}])
    in_run = count_predictions(own.results, own.named(), own.config)
    before = counts_from_table(pq.read_table(Path(own.results, in_run.counts)))
    after, _ = count_stored(own.predicted(), own.config)
    kinds = [(one.level, one.mode, one.slice, one.labels, one.units) for one in before]
    assert kinds == [(one.level, one.mode, one.slice, one.labels, one.units) for one in after]
    assert {"seen", "sure", "first_sentence"} < {one.slice for one in after}
    assert all(np.array_equal(one.values, other.values) for one, other in zip(before, after, strict=True))


def test_without_words_the_slices_of_words_have_a_reason(tmp_path: Path) -> None:
    own = benched(tmp_path, benchmark={"text": "drop"}, slices=[{"name": "mine", "where": "text == 'w1'"}])
    found, slices = count_stored(own.predicted(), own.config)
    assert slices.unavailable == dict.fromkeys([*TEXT, "mine"], "the words were not kept (text: drop)")
    assert "length_1" in {one.slice for one in found}


def test_without_documents_their_sentences_have_no_order(tmp_path: Path) -> None:
    own = benched(tmp_path, documents=None)
    _, slices = count_stored(own.predicted(), own.config)
    assert slices.unavailable == dict.fromkeys(["first_sentence", "later_sentence"], "the corpus has no documents")


def test_without_the_manifest_nothing_was_seen(tmp_path: Path) -> None:
    own = benched(tmp_path)
    predicted = own.predicted()
    shutil.rmtree(own.config.store)
    _, slices = count_stored(predicted, own.config)
    assert set(slices.unavailable) == {"seen", "unseen"}
    assert slices.unavailable["seen"].startswith("its manifest cannot be read (artifact tiny@sha256:")


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    own = benched(tmp_path)
    predicted = own.predicted()
    path = Path(predicted.uri)
    data = bytearray(path.read_bytes())
    group = pq.read_metadata(path).row_group(0)
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    tags = columns["pred_tag"]
    data[(tags.dictionary_page_offset or tags.data_page_offset) + tags.total_compressed_size - 1] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    with pytest.raises(CorruptArtifactError):
        count_stored(predicted, own.config)


def test_a_slice_with_other_values_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "slices.py"
    file.write_text("def mine(words):\n    return words['text']\n")
    own = benched(tmp_path, slices=[{"name": "mine", "function": f"{file}:mine"}])
    with pytest.raises(InputError, match=r"slice mine: .*not True or False for each of \d+ words"):
        count_stored(own.predicted(), own.config)
