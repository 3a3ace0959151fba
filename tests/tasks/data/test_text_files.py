"""Lines of text do not depend on the size of the blocks."""

from pathlib import Path

import fsspec
import pytest

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.data import text_files
from nerbench.tasks.data.text_files import open_file, read_lines


@pytest.fixture(params=[1, 2, 3, 1 << 20])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "_BLOCK", request.param)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "shift_jis"])
@pytest.mark.parametrize("text", ["", "\n", "東京\r\n\nケ\n", "a\n東"])
def test_lines_are_those_of_the_whole_text(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode(encoding))
    assert list(read_lines(str(path), encoding)) == text.removesuffix("\n").split("\n") * bool(text)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize(
    ("content", "line", "byte"),
    [
        (b"ab\nc\xf6d\n", 2, "0xf6 at offset 4"),
        (b"\xe6\x9d\xb1\n\xe6\x9d", 2, "0xe6 at offset 4"),
        (b"\xff", 1, "0xff at"),
    ],
)
def test_bytes_of_another_encoding_are_named(tmp_path: Path, content: bytes, line: int, byte: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(CorpusError) as caught:
        list(read_lines(str(path), "utf-8"))
    assert str(caught.value).startswith(f"{path}:{line}: the byte {byte}")


def test_a_byte_order_mark_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffa\ufeff\n\ufeff".encode())
    assert list(read_lines(str(tmp_path / "a.txt"), "utf-8")) == ["a\ufeff", "\ufeff"]


def test_endless_lines_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "_BLOCK", 10)
    monkeypatch.setattr(text_files, "_LONGEST_LINE", 100)
    (tmp_path / "a.txt").write_text("short\n" + "x" * 200)
    with pytest.raises(CorpusError, match=r"a\.txt:2: is longer than"):
        list(read_lines(str(tmp_path / "a.txt"), "utf-8"))


@pytest.mark.parametrize("encoding", ["utf-9", "zip", "undefined"])
def test_invalid_encodings(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(CorpusError, match=f"encoding: '{encoding}' is not known"):
        list(read_lines(str(tmp_path / "a.txt"), encoding))


def test_a_failing_connection_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, mode: str) -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(fsspec, "open", refuse)
    with pytest.raises(ConnectionResetError):
        open_file("s3://bucket/a.txt")
