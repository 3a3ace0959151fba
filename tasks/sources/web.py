"""Files of web servers: a public one never leads into an internal network, by a redirection or by another address."""

import socket
from typing import Any
from urllib.parse import urlsplit

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.configuration.permission import is_internal, is_internal_address


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
