"""Opens and decompresses files by path or fsspec URL, and reads them as lines of text in blocks of limited size.

A URL of a public web server cannot lead into an internal network, neither by a redirection nor by its DNS record.
"""

import codecs
import io
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from nerbench.artifacts import digests
from nerbench.artifacts.errors import CorpusError, refuse_credentials
from nerbench.tasks.config.permissions import is_internal, is_internal_address

_BLOCK = 1 << 20
_LONGEST_LINE = 1 << 23
_COMPRESSED = {".gz": "gzip", ".zst": "zstd"}
_MAX_BYTES, _BYTES_A_BYTE = 1 << 26, 200
"""Maximum of decompressed bytes: in total, or per compressed byte, whichever is more."""


def uncompressed_name(path: str) -> str:
    """A path without the suffix of a compressed file."""
    return path[: -len(ending)] if (ending := _compressed(path)) else path


def _compressed(path: str) -> str | None:
    return next((ending for ending in _COMPRESSED if path.lower().endswith(ending)), None)


def open_file(path: str) -> IO[bytes]:
    """A file opened for reading, and decompressed if its suffix is `.gz` or `.zst`.

    Raises:
        CorpusError: the file does not exist or cannot be opened; during reading, it is damaged or expands too much.
        InputError: the path is a URL with a credential.
        ConnectionError, TimeoutError: errors that may be transient.
    """
    file = _open_raw(path)
    if ending := _compressed(path):
        return io.BufferedReader(_Decompressed(path, file, _COMPRESSED[ending]), _BLOCK)
    return file


class _Decompressed(io.RawIOBase):
    """The decompressed content of a file, block by block."""

    def __init__(self, path: str, file: IO[bytes], codec: str) -> None:
        import pyarrow as pa

        self._path, self._file, self._size = path, file, 0
        self._stream = pa.CompressedInputStream(pa.PythonFile(file, "r"), codec)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            block = self._stream.read(min(len(buffer), _BLOCK))
        except (ConnectionError, TimeoutError):
            raise
        except OSError as error:
            raise CorpusError(self._path, f"cannot be decompressed ({error})", "compress it again") from error
        self._size += len(block)
        if self._size > max(_MAX_BYTES, _BYTES_A_BYTE * self._file.tell()):
            problem = f"holds more than {_BYTES_A_BYTE} bytes for each of its own"
            raise CorpusError(self._path, problem, "decompress it first, if it is meant to")
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _open_raw(path: str) -> IO[bytes]:
    refuse_credentials("corpus", path)
    try:
        if "://" not in path:
            return digests.open_file(Path(path))
        import fsspec

        options: dict[str, Any] = {}
        if path.startswith(("http://", "https://")):
            options = web_options(path)
        opened: IO[bytes] = fsspec.open(path, "rb", **options).open()
        return opened
    except (CorpusError, ConnectionError, TimeoutError):
        raise
    except Exception as error:  # every fsspec file system has its own exceptions
        if "://" not in path:
            problem = getattr(error, "strerror", None) or str(error)
            raise CorpusError(path, problem, "name an existing, readable file") from error
        problem = f"cannot be read ({type(error).__name__}: {error})"
        raise CorpusError(path, problem, "check the URL and its access") from error


def read_lines(path: str, encoding: str) -> Iterator[str]:
    """The lines of a text file without their line feeds or a byte order mark.

    Raises:
        CorpusError: the file cannot be opened, is not in the encoding, or has a line of more than 8 MiB.
    """
    with closing(open_file(path)) as file:
        rest, line = "", 1
        for text in _decoded(path, file, encoding):
            lines = (rest + text).split("\n")
            rest = lines.pop()
            line += len(lines)
            yield from lines
            if len(rest) > _LONGEST_LINE:
                raise CorpusError(f"{path}:{line}", "is longer than 8 MiB", "name a text file with shorter lines")
    if rest:
        yield rest


def check_encoding(path: str, encoding: str) -> None:
    """Raise CorpusError if a file cannot be opened or is not in the encoding."""
    with closing(open_file(path)) as file:
        for _ in _decoded(path, file, encoding):
            pass


def read_whole_text(path: str, encoding: str, most: int) -> str:
    """The whole text of a file, without a byte order mark.

    Raises:
        CorpusError: the file cannot be opened, is not in the encoding, or has more than `most` characters.
    """
    blocks, size = [], 0
    with closing(open_file(path)) as file:
        for text in _decoded(path, file, encoding):
            blocks.append(text)
            size += len(text)
            if size > most:
                raise CorpusError(path, f"is longer than {most >> 20} MiB", "write one object per line, or more files")
    return "".join(blocks)


def _decoded(path: str, file: IO[bytes], encoding: str) -> Iterator[str]:
    decoder = _decoder(encoding)
    line, offset, block = 1, 0, b"-"
    while block:
        block = file.read(_BLOCK)
        pending = len(decoder.getstate()[0])  # the first bytes of a character that the previous block ended in
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            newlines = error.object.count(b"\n", 0, error.start)
            place = f"{path}:{line + newlines}"
            wrong = f"the byte 0x{error.object[error.start]:02x} at offset {offset - pending + error.start}"
            is_utf16 = not offset and error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            remedy = f"declare the file's `encoding`, {'which seems to be utf-16' if is_utf16 else 'e.g. latin-1'}"
            raise CorpusError(place, f"{wrong} is not {encoding}", remedy) from error
        yield text if offset else text.removeprefix("\ufeff")
        line, offset = line + text.count("\n"), offset + len(block)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        "".encode(encoding)  # raises LookupError for codecs of bytes, such as zip
        return codecs.getincrementaldecoder(encoding)()
    except (LookupError, UnicodeError) as error:
        raise CorpusError("encoding", f"{encoding!r} is not known", "use a name such as utf-8 or latin-1") from error


def web_options(url: str) -> dict[str, Any]:
    """Options for fsspec to open an `http://` or `https://` URL; empty if the URL itself names an internal host.

    Raises CorpusError if the host cannot be found.
    """
    try:
        host = urlsplit(url).hostname or ""
        return {} if is_internal(host) else {"get_client": _public_client}
    except (OSError, ValueError) as error:
        raise CorpusError(url, f"its host cannot be found ({error})", "check the URL and the network") from error


async def _public_client(**options: Any) -> Any:
    """A client that connects to public addresses only: it checks the resolved address of each connection."""
    import aiohttp

    connector = aiohttp.TCPConnector(socket_factory=_public_socket)
    return aiohttp.ClientSession(connector=connector, **options)


def _public_socket(address: Any) -> socket.socket:
    family, kind, protocol, _, to = address
    if is_internal_address(str(to[0])):
        raise OSError(f"{to[0]} is in an internal network, where no public server may lead")
    return socket.socket(family=family, type=kind, proto=protocol)
