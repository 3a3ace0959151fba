"""Compressed and whole-file corpora that are far larger than they seem are refused during reading."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.data.text_files import read_lines

pytestmark = pytest.mark.attacks
BLOCK = 1 << 24


def gz(path: Path, block: bytes, times: int) -> Path:
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(times):
            file.write(block)
    return path


def zst(path: Path, block: bytes, times: int) -> Path:
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        for _ in range(times):
            file.write(block)
    return path


@pytest.mark.parametrize("compress", [gz, zst], ids=lambda one: one.__name__)
def test_a_file_that_explodes(tmp_path: Path, compress: Callable[..., Path]) -> None:
    path = compress(tmp_path / f"bomb.{compress.__name__}", (b"a" * 1023 + b"\n") * (BLOCK >> 10), 8)
    assert path.stat().st_size < 1 << 19
    lines = read_lines(str(path), "utf-8")
    with pytest.raises(CorpusError, match="holds more than 200 bytes for each of its own"):
        assert sum(1 for _ in lines) <= BLOCK >> 8


def test_a_line_without_end(tmp_path: Path) -> None:
    path = gz(tmp_path / "bomb.gz", b"a" * BLOCK, 4)
    with pytest.raises(CorpusError, match="is longer than 8 MiB"):
        list(read_lines(str(path), "utf-8"))


@pytest.mark.parametrize("ending", ["gz", "zst"])
@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"no" + data], ids=["short", "other"])
def test_a_damaged_file(tmp_path: Path, ending: str, damage: Callable[[bytes], bytes]) -> None:
    path = (gz if ending == "gz" else zst)(tmp_path / f"a.{ending}", b"Anna B-PER\n" * 999, 1)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorpusError, match="cannot be decompressed"):
        list(read_lines(str(path), "utf-8"))


@pytest.mark.legitimate
def test_files_of_several_members_and_repetitive_files(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"Anna O\n" * 100_000) + gzip.compress(b"Oslo O\n"))
    assert list(read_lines(str(path), "utf-8"))[-2:] == ["Anna O", "Oslo O"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[" + "0," * (1 << 25) + "0]", "is longer than 64 MiB"),
        ("[" * 1_000_000, "is not valid JSON"),
        ('[{"text": "a", "entities": ' + "[" * 100_000, "is not valid JSON"),
    ],
    ids=["long", "deep", "deeper"],
)
def test_an_array_without_end(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(CorpusError, match=says):
        load_splits(DatasetConfig(name="a", format="json", files={"test": str(path)}))
