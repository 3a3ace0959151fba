"""Parquet files of a few kilobytes that decode to gigabytes are refused before decoding."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import parquet_bombs
import pyarrow.parquet as pq
import pytest
from parquet_footers import varint

from nerbench.artifacts.errors import CorpusError, CorruptArtifactError
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.parquet_files import read_parquet
from nerbench.tasks.scoring.stored_predictions import read_predictions

pytestmark = pytest.mark.attacks
TABLE = "metrics/schema=2/date=2026-01-02"


@pytest.fixture(scope="session")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each bomb."""
    folder = tmp_path_factory.mktemp("bombs")
    subprocess.run([sys.executable, parquet_bombs.__file__, folder], check=True)
    return folder


@pytest.fixture
def bomb(request: pytest.FixtureRequest, bombs: Path, tmp_path: Path) -> Path:
    """A file in a folder of results."""
    made = bombs / request.param.__name__
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return next(tmp_path.rglob("bomb.parquet"))


def name_of(bomb: Callable[[Path], None]) -> str:
    return bomb.__name__


@pytest.mark.parametrize("bomb", parquet_bombs.RESULTS, ids=name_of, indirect=True)
def test_a_result_table_that_explodes(bomb: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptArtifactError, match=r"bomb\.parquet cannot be read: "):
        read_results(str(tmp_path), "metrics")


@pytest.mark.parametrize("bomb", parquet_bombs.CORPORA, ids=name_of, indirect=True)
def test_a_corpus_that_explodes(bomb: Path) -> None:
    source = read_parquet(str(bomb), DatasetConfig(name="bomb", format="parquet", files={"test": str(bomb)}))
    with pytest.raises(CorpusError, match=r"bomb\.parquet: cannot be read"):
        for _ in source.sentences:
            pass


@pytest.mark.parametrize("bomb", parquet_bombs.PREDICTIONS, ids=name_of, indirect=True)
def test_predictions_that_explode(bomb: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptArtifactError, match=r"bomb\.parquet cannot be read: "):
        for _ in read_predictions(str(tmp_path), str(bomb)).parts():
            pass


def test_a_table_that_is_one_hole(tmp_path: Path) -> None:
    path = tmp_path / TABLE / "hole.parquet"
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        stream.truncate(1 << 40)  # it takes no disk
    with pytest.raises(CorruptArtifactError, match="it is not a Parquet file"):
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


@pytest.mark.parametrize("bomb", [parquet_bombs.large_page], ids=name_of, indirect=True)
def test_pages_that_are_larger_than_the_footer_claims(bomb: Path, tmp_path: Path) -> None:
    """The footer's figure is made small; the header of the page still says 128 MiB."""
    data = bytearray(bomb.read_bytes())
    claimed = varint(2 * pq.read_metadata(bomb).row_group(0).column(0).total_uncompressed_size)
    at = data.rindex(claimed)
    data[at : at + len(claimed)] = varint(2 * 1000).ljust(len(claimed), b"\x80")[:-1] + b"\0"
    bomb.write_bytes(data)
    with pytest.raises(CorruptArtifactError, match=r"bomb\.parquet cannot be read: "):
        read_results(str(tmp_path), "metrics")
