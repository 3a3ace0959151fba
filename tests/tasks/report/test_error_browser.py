"""Errors and flips in the page: each is shown and marked, or the number left out is reported."""

import shutil
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from report_site import EVIL, configuration, corpus, noisy, predict, record, run_of, score
from scored_runs import end_run

from nerbench.artifacts.errors import CorruptArtifactError, collected
from nerbench.artifacts.tables.schemas import schema
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.analysis.errors import LONGEST
from nerbench.tasks.report import error_browser, model_scores
from nerbench.tasks.report.baselines import compare, find_baselines
from nerbench.tasks.report.error_browser import located, packed_errors, packed_flips
from nerbench.tasks.report.formats import PackedRows, unpacked
from nerbench.tasks.report.model_scores import ModelScores, Sample, StoredTable, read_model_scores
from nerbench.tasks.results.query import select_runs

WORD = "w" * 100


def entries_of(results: str, night: int = 2) -> dict[int, ModelScores]:
    return dict(enumerate(read_model_scores(results, select_runs(results, [f"night-{night}"]))))


def errors_of(results: str, *, text: bool = True) -> PackedRows:
    return packed_errors(StoredTable(results, "errors"), entries_of(results), text=text)


def rows(found: PackedRows) -> Iterator[dict[str, Any]]:
    """The errors as the page's script reads them."""
    data = unpacked(found.text)
    columns = data["columns"]
    lists = {"kind": data["kinds"], "gold": data["labels"], "pred": data["labels"], "text": data["sentences"]}
    for at in range(len(columns["entry"])):
        row = {name: values[at] for name, values in columns.items()}
        yield row | {name: None if row[name] is None else named[row[name]] for name, named in lists.items()}


def test_every_error_is_there_and_marked(nights: str) -> None:
    entries = entries_of(nights)
    found = errors_of(nights)
    expected = []
    for at, entry in entries.items():
        digest = entry.about["predictions_digest"], entry.about["gold_sha256"]
        filters = [("predictions_digest", "=", digest[0]), ("gold_sha256", "=", digest[1])]
        for row in read_results(nights, "errors", filters=filters).to_pylist():
            texts = (row["gold_text"], row["pred_text"], row["sentence_text"])
            expected.append((at, row["kind"], row["sentence"], row["gold_label"], row["pred_label"], *texts))
    assert (found.shown, found.total) == (len(expected), len(expected))

    def words(row: dict[str, Any], start: str, end: str) -> str | None:
        return None if row[start] is None else " ".join(row["text"].split(" ")[row[start] : row[end]])

    shown = [
        (
            *(row[name] for name in ("entry", "kind", "sentence", "gold", "pred")),
            *(words(row, "gs", "ge"), words(row, "ps", "pe"), row["text"]),
        )
        for row in rows(found)
    ]
    assert shown == expected
    assert any(evil in text for *_, text in shown for evil in EVIL)


def test_without_text_positions_alone_are_left(tmp_path: Path, nights: str) -> None:
    results = str(tmp_path)
    words, gold = corpus(documents=2)
    run, config = run_of(results, 2), configuration(results, golds=[], benchmark={"text": "drop"})
    score(run, predict(results, 2, "m", 1, words, gold, noisy(gold, 0.9), text=False), config)
    end_run(results, "2030-01-02", run_id=run.run_id, started_at=run.started_at)
    assert errors_of(results).shown > 5
    for text, source in ((True, results), (False, results), (False, nights)):
        found = errors_of(source, text=text)
        assert not unpacked(found.text)["sentences"]
        for row in rows(found):
            assert (row["text"], row["gold_text"], row["pred_text"], row["located"]) == (None, None, None, 0)
            assert (row["gs"] is None) == (row["gold"] is None)
    plain = list(rows(errors_of(nights, text=False)))
    assert [row["gs"] for row in plain] == [row["gs"] for row in rows(errors_of(nights))]


def test_too_many_errors_are_thinned_evenly_and_reported(nights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    every = list(rows(errors_of(nights)))
    monkeypatch.setattr(error_browser, "MOST", 10)
    found = errors_of(nights)
    step = -(-len(every) // 10)
    assert (found.shown, found.total) == (len(every[::step]), len(every))
    assert [row["sentence"] for row in rows(found)] == [row["sentence"] for row in every[::step]]
    monkeypatch.setattr(error_browser, "MOST", 100_000)
    monkeypatch.setattr(error_browser, "LARGEST", 1500)
    smaller = errors_of(nights)
    assert len(smaller.text) <= 1500
    assert 0 < smaller.shown < smaller.total == len(every)


@pytest.mark.parametrize("rows_in_part", [1, 3, 4096])
def test_a_sample_is_read_in_small_parts(nights: str, monkeypatch: pytest.MonkeyPatch, rows_in_part: int) -> None:
    monkeypatch.setattr("nerbench.artifacts.tables.parquet._PART", rows_in_part)
    table, columns = StoredTable(nights, "errors"), ("kind", "sentence", "gold_start", "sentence_text")
    for entry in read_model_scores(nights, select_runs(nights, [])):
        every = table.rows(entry, columns)
        assert table.count(entry) == len(every) > 3
        for step in (1, 2, 5, len(every) + 1):
            for first in {0, 1, step - 1} & {*range(step)}:
                sample = table.sample(entry, columns, first, step)
                assert sample.total == len(every)
                assert sample.rows.to_pylist() == every[first::step]
                assert all(len(part) <= rows_in_part for part in sample.rows.to_batches())


def test_a_sample_of_a_damaged_file_is_empty_and_reported(
    nights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = str(shutil.copytree(nights, tmp_path / "copy"))
    entry = read_model_scores(results, select_runs(results, []))[0]

    def problem() -> str:
        with collected() as problems:
            sample = StoredTable(results, "errors").sample(entry, ("kind", "sentence"), 0, 1)
        assert (sample.rows.num_rows, sample.rows.column_names, sample.total) == (0, ["kind", "sentence"], 0)
        (found,) = problems.values()
        return str(found)

    honest = model_scores.read_parts

    def broken(*arguments: Any) -> Iterator[pa.Table]:
        yield next(honest(*arguments))
        raise CorruptArtifactError("the second part is damaged")

    with monkeypatch.context() as patched:
        patched.setattr(model_scores, "read_parts", broken)
        assert problem().endswith("the second part is damaged")
    for path in Path(results, "errors").rglob("*.parquet"):
        rows = pq.read_table(path, partitioning=None)
        words = pa.array(["one"] * len(rows))
        pq.write_table(rows.set_column(rows.column_names.index("sentence"), "sentence", words), path)
    assert "cannot be read" in problem()


def test_rows_are_counted_without_reading_them(nights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = str(shutil.copytree(nights, tmp_path / "copy"))
    entry = read_model_scores(results, select_runs(results, []))[0]
    n = len(StoredTable(results, "errors").rows(entry, ("kind",)))
    monkeypatch.setattr("pyarrow.parquet.ParquetFile.iter_batches", None)
    assert StoredTable(results, "errors").count(entry) == n > 3
    for path in Path(results, "errors").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-1])
    with collected() as problems:
        assert StoredTable(results, "errors").count(entry) == 0
    assert [str(one).endswith("it is not a Parquet file") for one in problems.values()] == [True]


def error(text: str, gold: tuple[int, int, str] | None, pred: tuple[int, int, str] | None) -> dict[str, Any]:
    names = {"gold": gold or (None,) * 3, "pred": pred or (None,) * 3}
    found = {
        f"{side}_{name}": value
        for side, three in names.items()
        for name, value in zip(("start", "end", "text"), three, strict=True)
    }
    return found | {"sentence_text": text}


class Given(StoredTable):
    """Errors in memory, the same for each entry."""

    def __init__(self, errors: Iterable[dict[str, Any]]) -> None:
        about = {"kind": "missed", "sentence": 0, "score": 0.5, "invalid": False}
        self._rows = pa.Table.from_pylist([about | one for one in errors], schema("errors"))

    def count(self, entry: ModelScores) -> int:
        return self._rows.num_rows

    def sample(self, entry: ModelScores, columns: Sequence[str], first: int, step: int) -> Sample:
        rows = self._rows.select(columns).take(list(range(first, self._rows.num_rows, step)))
        return Sample(pa.Table.from_batches(rows.to_batches(max_chunksize=500), rows.schema), len(self._rows))


def test_a_sentence_is_stored_once(nights: str) -> None:
    texts = ("b", None, "a", "b", "a", None, "c")
    given = Given(error(text, (0, 1, text), None) for text in texts)
    found = unpacked(packed_errors(given, entries_of(nights), text=True).text)
    assert found["sentences"] == ["b", "a", "c"]
    assert found["columns"]["text"] == [0, None, 1, 0, 1, None, 2] * len(entries_of(nights))


def test_many_errors_take_little_memory(nights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("nerbench.artifacts.unnamed_files.IN_MEMORY", 1 << 16)
    sizes, peaks = (6_000, 18_000), []
    for n in sizes:
        given = Given(error(f"a{number} {WORD}", (0, 1, f"a{number}"), None) for number in range(n))
        tracemalloc.start()
        packed_errors(given, dict(islice(entries_of(nights).items(), 1)), text=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / (sizes[1] - sizes[0]) < 2 * len(WORD), "the sentences or rows are held at once"


def test_entities_are_found_in_the_words_around_them() -> None:
    words = [f"w{n}" for n in range(1000)]
    assert located(error("a b c", (1, 2, "b"), (1, 3, "b c"))) == (1, 2, 1, 3)
    assert located(error("a b c", None, (0, 1, "a"))) == (None, None, 0, 1)
    start = 500 - LONGEST // 2
    cut = " ".join(words[start : 502 + LONGEST // 2])
    assert located(error(cut, (500, 502, "w500 w501"), None)) == (500 - start, 502 - start, None, None)


def test_a_word_with_blanks_is_marked_nowhere() -> None:
    assert located(error("New York is big", (1, 2, "is"), None)) is None
    assert located(error("New York is big", (0, 1, "New York"), None)) is None


def test_a_very_long_sentence_is_marked_in_the_page(tmp_path: Path) -> None:
    results = str(tmp_path)
    words, gold = [[f"w{n}" for n in range(600)]], [["O"] * 600]
    gold[0][450] = "B-PER"
    run, config = run_of(results, 2), configuration(results, golds=[])
    score(run, predict(results, 2, "m", 1, words, gold, [["O"] * 600]), config)
    record(run, config)
    (row,) = rows(errors_of(results))
    assert row["located"] == 1
    assert row["text"].split(" ")[row["gs"] : row["ge"]] == ["w450"]


def test_flips_carry_their_readings(nights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = entries_of(nights)
    judged = read_results(nights, "gate").to_pylist()
    baselines = find_baselines(nights, list(entries.values()), judged)
    compared = compare(nights, list(entries.values()), baselines)
    found = packed_flips(compared, text=True)
    data = unpacked(found.text)
    expected = [flip for one in compared.values() for flip in one.flips]
    assert found.total == found.shown == len(data["rows"]) == len(expected) > 20
    for row, flip in zip(data["rows"], expected, strict=True):
        assert data["sentences"][row["text"]] == flip.sentence_text
        assert (row["kind"], row["label"]) == (flip.kind, flip.label)
        assert [tuple(span) for span in row["candidate"]] == [tuple(span) for span in flip.candidate]
    hidden = unpacked(packed_flips(compared, text=False).text)
    assert hidden["sentences"] == []
    assert {row["text"] for row in hidden["rows"]} == {None}
    monkeypatch.setattr(error_browser, "MOST_FLIPS", 5)
    few = packed_flips(compared, text=True)
    assert (few.shown <= 5, few.total) == (True, found.total)


def test_no_errors_are_no_columns(tmp_path: Path) -> None:
    results = str(tmp_path)
    words, gold = corpus(documents=2)
    run, config = run_of(results, 2), configuration(results, golds=[])
    score(run, predict(results, 2, "m", 1, words, gold, noisy(gold, 0.0)), config)
    end_run(results, "2030-01-02", run_id=run.run_id, started_at=run.started_at)
    found = errors_of(results)
    assert (found.shown, found.total) == (0, 0)
    assert list(rows(found)) == []
