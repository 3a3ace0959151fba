"""The child process of `nerbench.flows.server`: a Prefect server on a listening socket, until SIGTERM.

Its arguments are `FD [pages]`; FD is the file descriptor of the socket. The environment contains the credential of
allowed clients.
"""

import os
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from prefect.server.api.server import create_app
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import provide_database_interface, set_database_config
from sqlalchemy import make_url
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class SerializedWrites(AioSqliteConfiguration):
    """SQLite with transactions that begin as writers, so that each waits for the previous one.

    Prefect's transactions begin as readers: if another transaction wrote in between, a later write fails, and the
    client gets status 503; it gives up after six attempts. In addition, a failed statement leaves its cursor to the
    garbage collector; if that runs while the connection waits for a lock, the whole server waits for a minute.
    """

    @asynccontextmanager
    async def begin_transaction(
        self, session: "AsyncSession", with_for_update: bool = True
    ) -> AsyncGenerator["AsyncSessionTransaction", None]:
        """Begin a transaction for update in all cases."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


OPEN = """<!doctype html><title>nerbench</title><script>
if (location.hash) localStorage.setItem("prefect-password", btoa(decodeURIComponent(location.hash.slice(1))));
location.replace("/");
</script>"""
"""Stores the credential from the link where Prefect's pages look for it; browsers never send a fragment to a server."""


class SameOriginOnly:
    """Rejects requests that other web pages make a browser send to this machine, before Prefect handles them.

    Such a page cannot forge these headers: `Host` shows a name that points here through DNS rebinding; `Origin` and
    `Sec-Fetch-Site` show the page itself. Programs do not send these headers, but need the credential.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        names = ("127.0.0.1", "localhost", "[::1]")
        self.hosts = {f"{name}:{port}" for name in names} | set(names if port == 80 else ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        answer: ASGIApp = self._refusal(Headers(scope=scope), scope.get("method", "")) or self.app
        if scope["path"] == "/open" and answer is self.app:
            answer = HTMLResponse(OPEN, headers={"Cache-Control": "no-store"})
        await answer(scope, receive, send)

    def _refusal(self, headers: Headers, method: str) -> Response | None:
        if headers.get("host", "").lower() not in self.hosts:
            return PlainTextResponse(f"this server answers to {', '.join(sorted(self.hosts))} only\n", 421)
        if origin := headers.get("origin"):
            is_ours = origin.removeprefix("http://") in self.hosts
        else:
            follows_link = method == "GET" and headers.get("sec-fetch-dest") == "document"
            is_ours = follows_link or headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
        return None if is_ours else PlainTextResponse("this server answers to its own pages only\n", 403)


def main() -> None:
    """Serve until a signal arrives; a signal during startup ends the process at once."""
    database = provide_database_interface().database_config
    if isinstance(database, AioSqliteConfiguration):
        set_database_config(SerializedWrites(database.connection_url))
        _keep_private(Path(make_url(database.connection_url).database or ":memory:"))
    listening = socket.socket(fileno=int(sys.argv[1]))
    pages = "pages" in sys.argv
    app = create_app(ephemeral=not pages, final=pages)  # a final app collects garbage, which takes a short run too long
    os.umask(0o077)  # not before the pages are unpacked, which others may use too
    guarded = SameOriginOnly(app, listening.getsockname()[1])
    config = uvicorn.Config(guarded, log_level="error", lifespan="on", ws_per_message_deflate=False)
    uvicorn.Server(config).run([listening])


def _keep_private(database: Path) -> None:
    """Remove access that an earlier version gave other users: blocks contain secrets, and their key is beside them."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError, PermissionError):
            database.with_name(f"{database.name}{suffix}").chmod(0o600)
