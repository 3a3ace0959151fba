"""Parquet files of a few kilobytes that decode to gigabytes: refused before they are decoded."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nerbench.artifacts.errors import CorpusError, CorruptArtifactError
from nerbench.artifacts.results.tables import read_results
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.inference.predictions import PredictionsDigest
from nerbench.tasks.scoring.reading import PredictionsIdentity, read_predictions
from nerbench.tasks.sources.tabular import read_parquet

pytestmark = pytest.mark.attacks
ROWS = 1 << 20
TABLE = "metrics/schema=1/date=2026-01-02"


def repeated(text: str, rows: int) -> pa.Array:
    """One string for every row, which a file holds once."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([text]))


def write(path: Path, rows: pa.Table, groups: int = 1, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, rows.schema, compression="zstd", store_schema=False, **options) as writer:
        for _ in range(groups):
            writer.write_table(rows, row_group_size=len(rows))
    assert path.stat().st_size < 1 << 20
    return path


def many_rows(path: Path) -> None:
    write(path, pa.table({"model": repeated("a", ROWS), "value": pa.array(np.zeros(ROWS))}), groups=40)


def long_string(path: Path) -> None:
    write(path, pa.table({"model": repeated("a" * (1 << 20), ROWS // 8)}))


def many_groups_of_long_strings(path: Path) -> None:
    write(path, pa.table({"model": repeated("a" * 10_000, 20_000)}), groups=50)


def zeros(path: Path) -> None:
    write(path, pa.table({"model": pa.array(["\0" * (1 << 20)] * 400)}), use_dictionary=False, data_page_size=1 << 20)


def large_page(path: Path) -> None:
    write(path, pa.table({"model": pa.array(["\0" * (1 << 27)])}), use_dictionary=False)


def long_list(path: Path) -> None:
    numbers = pa.ListArray.from_arrays([0, 1 << 24], pa.array(np.zeros(1 << 24, np.int8)))
    write(path, pa.table({"samples_s": numbers}))


def prefixes(path: Path) -> None:
    texts = pa.array(["a" * n for n in range(20_000)])
    write(path, pa.table({"model": texts}), use_dictionary=False, column_encoding={"model": "DELTA_BYTE_ARRAY"})


def rows_of_one_word(path: Path) -> None:
    words = pa.ListArray.from_arrays(np.arange(ROWS + 1, dtype=np.int32) * 20, repeated("a", 20 * ROWS))
    write(path, pa.table({"tokens": words, "ner_tags": words}))


def long_word(path: Path) -> None:
    words = pa.ListArray.from_arrays(np.arange(20_001, dtype=np.int32), repeated("a" * (1 << 18), 20_000))
    tags = pa.ListArray.from_arrays(np.arange(20_001, dtype=np.int32), repeated("O", 20_000))
    write(path, pa.table({"tokens": words, "ner_tags": tags}))


def long_sentence(path: Path) -> None:
    words = pa.ListArray.from_arrays([0, 4_100_000], repeated("word", 4_100_000))
    write(path, pa.table({"tokens": words, "ner_tags": words}))


def long_text(path: Path) -> None:
    rows, numbers = 10_000, np.arange(10_000, dtype=np.int32)
    digest = PredictionsDigest()
    digest.update(np.zeros(rows, np.int32), np.zeros(rows, np.int32), numbers, ["O"] * rows)
    known = {name: repeated("a", rows) for name in PredictionsIdentity._fields}
    columns = {
        **known,
        "predictions_digest": repeated(digest.hexdigest(), rows),
        **dict.fromkeys(("document", "sentence"), pa.array(np.zeros(rows, np.int32))),
        "word": pa.array(numbers),
        **dict.fromkeys(("gold_tag", "pred_tag"), repeated("O", rows)),
        "text": repeated("a" * (1 << 18), rows),
    }
    write(path, pa.table(columns))


BOMBS = [many_rows, long_string, many_groups_of_long_strings, zeros, large_page, long_list, prefixes]


CORPORA = [rows_of_one_word, long_word, long_sentence]


@pytest.fixture
def bomb(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file in a folder of results, made in another process, whose memory does not count."""
    make, table = request.param.__name__, "predictions" if request.param is long_text else "metrics"
    path = tmp_path / f"{table}/schema=1/date=2026-01-02/bomb.parquet"
    code = f"import sys; sys.path[:0] = {sys.path!r}\nfrom pathlib import Path\nfrom test_parquet_bombs import {make}\n"
    subprocess.run([sys.executable, "-c", f"{code}{make}(Path({str(path)!r}))"], check=True)
    return path


def name_of(bomb: Callable[[Path], None]) -> str:
    return bomb.__name__


@pytest.mark.parametrize("bomb", BOMBS, ids=name_of, indirect=True)
def test_a_result_table_that_explodes(bomb: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptArtifactError, match=r"bomb\.parquet cannot be read: "):
        read_results(str(tmp_path), "metrics")


@pytest.mark.parametrize("bomb", CORPORA, ids=name_of, indirect=True)
def test_a_corpus_that_explodes(bomb: Path) -> None:
    source = read_parquet(str(bomb), DatasetConfig(name="bomb", format="parquet", files={"test": str(bomb)}))
    with pytest.raises(CorpusError, match=r"bomb\.parquet: cannot be read"):
        for _ in source.sentences:
            pass


@pytest.mark.parametrize("bomb", [long_text], ids=name_of, indirect=True)
def test_predictions_that_explode(bomb: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptArtifactError, match=r"bomb\.parquet cannot be read: "):
        for _ in read_predictions(str(tmp_path), str(bomb)).parts():
            pass


def test_a_table_that_is_one_hole(tmp_path: Path) -> None:
    path = tmp_path / TABLE / "hole.parquet"
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # it takes no disk
    with pytest.raises(CorruptArtifactError, match="it is no Parquet file"):
        read_results(str(tmp_path), "metrics")


def test_a_footer_of_two_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / TABLE / "footer.parquet"
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
        stream.seek(0, 2)
        stream.write((0x7FFFFFFF).to_bytes(4, "little") + b"PAR1")
    with pytest.raises(CorruptArtifactError, match="its footer has 2147483647 bytes"):
        read_results(str(tmp_path), "metrics")


@pytest.mark.parametrize("bomb", [large_page], ids=name_of, indirect=True)
def test_pages_that_are_larger_than_the_footer_claims(bomb: Path, tmp_path: Path) -> None:
    """The footer's figure is made small; the header of the page still says 128 MiB."""
    data = bytearray(bomb.read_bytes())
    claimed = varint(2 * pq.read_metadata(bomb).row_group(0).column(0).total_uncompressed_size)
    at = data.rindex(claimed)
    data[at : at + len(claimed)] = varint(2 * 1000).ljust(len(claimed), b"\x80")[:-1] + b"\0"
    bomb.write_bytes(data)
    with pytest.raises(CorruptArtifactError, match=r"bomb\.parquet cannot be read: "):
        read_results(str(tmp_path), "metrics")


def varint(number: int) -> bytes:
    """As Thrift's compact protocol writes it."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])
