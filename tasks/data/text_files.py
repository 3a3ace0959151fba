"""Files by path or fsspec URL: opened, or read as lines of text in blocks of limited size.

The file of a public web server never leads into an internal network, by a redirection or by another address.
"""

import codecs
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


def open_file(path: str) -> IO[bytes]:
    """A file opened for reading.

    Raises:
        CorpusError: it does not exist or cannot be opened.
        InputError: it is a URL with a credential.
        ConnectionError, TimeoutError: what may go away.
    """
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
    except Exception as error:  # every file system has exceptions of its own
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


def _decoded(path: str, file: IO[bytes], encoding: str) -> Iterator[str]:
    decoder = _decoder(encoding)
    line, offset, block = 1, 0, b"-"
    while block:
        block = file.read(_BLOCK)
        pending = len(decoder.getstate()[0])  # the beginning of a character that the block before was cut in
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            newlines = error.object.count(b"\n", 0, error.start)
            place = f"{path}:{line + newlines}"
            wrong = f"the byte 0x{error.object[error.start]:02x} at offset {offset - pending + error.start}"
            remedy = "declare the file's `encoding`, e.g. latin-1"
            raise CorpusError(place, f"{wrong} is not {encoding}", remedy) from error
        yield text if offset else text.removeprefix("\ufeff")
        line, offset = line + text.count("\n"), offset + len(block)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    try:
        "".encode(encoding)  # refuses codecs that are not of text, such as zip
        return codecs.getincrementaldecoder(encoding)()
    except (LookupError, UnicodeError) as error:
        raise CorpusError("encoding", f"{encoding!r} is not known", "use a name such as utf-8 or latin-1") from error


def web_options(url: str) -> dict[str, Any]:
    """Options of fsspec to open an `http://` or `https://` URL with; none where the URL itself names an internal host.

    Raises CorpusError where the host cannot be found.
    """
    try:
        host = urlsplit(url).hostname or ""
        return {} if is_internal(host) else {"get_client": _public_client}
    except (OSError, ValueError) as error:
        raise CorpusError(url, f"its host cannot be found ({error})", "check the URL and the network") from error


async def _public_client(**options: Any) -> Any:
    """A client that connects to public addresses alone: what is judged is the very address that it connects to."""
    import aiohttp

    connector = aiohttp.TCPConnector(socket_factory=_public_socket)
    return aiohttp.ClientSession(connector=connector, **options)


def _public_socket(address: Any) -> socket.socket:
    family, kind, protocol, _, to = address
    if is_internal_address(str(to[0])):
        raise OSError(f"{to[0]} is in an internal network, where no public server may lead")
    return socket.socket(family=family, type=kind, proto=protocol)
