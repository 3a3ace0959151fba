"""The child's side of `flows.server`: a Prefect server on a socket that listens already, until SIGTERM.

Run as `python -P -m flows.server_process FD [pages]`, the socket's descriptor.
"""

import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from prefect.server.api.server import create_app
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import provide_database_interface, set_database_config

from tasks.child import die_with_parent

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class WritingInTurn(AioSqliteConfiguration):
    """SQLite whose transactions begin as writers, so that each waits for the one before.

    Prefect's begin as readers: one that has read and then writes is refused where another wrote meanwhile, and the
    client is told 503; it gives up after six times. What is worse, a refused statement leaves its cursor to the garbage
    collector; if that runs while the same connection waits for a lock, the whole server waits with it, for a minute.
    """

    @asynccontextmanager
    async def begin_transaction(
        self, session: "AsyncSession", with_for_update: bool = True
    ) -> AsyncGenerator["AsyncSessionTransaction", None]:
        """Begin one for update, whatever was asked for."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def main() -> None:
    """Serve until a signal comes; one that comes during the start ends the process at once."""
    die_with_parent()
    database = provide_database_interface().database_config
    if isinstance(database, AioSqliteConfiguration):
        set_database_config(WritingInTurn(database.connection_url))
    app = create_app(ephemeral="pages" not in sys.argv, final=True)
    config = uvicorn.Config(app, log_level="error", lifespan="on", ws_per_message_deflate=False)
    uvicorn.Server(config).run([socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
