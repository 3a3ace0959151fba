"""SQLite in nerbench's servers: transactions that read before they write wait for each other."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from prefect.server.database.configurations import AioSqliteConfiguration


async def add_one(database: "AioSqliteConfiguration", both_have_read: asyncio.Barrier) -> None:
    from sqlalchemy import text

    async with await database.session(await database.engine()) as session, database.begin_transaction(session):
        (count,) = (await session.execute(text("SELECT n FROM counter"))).one()
        try:
            await asyncio.wait_for(both_have_read.wait(), 0.5)
        except (TimeoutError, asyncio.BrokenBarrierError):
            """The other transaction has to wait before it reads."""
        await session.execute(text(f"UPDATE counter SET n = {count + 1}"))


async def both(database: "AioSqliteConfiguration") -> int:
    from sqlalchemy import text

    engine = await database.engine()
    async with engine.connect() as connection:
        await connection.execute(text("CREATE TABLE counter AS SELECT 0 AS n"))
    together = asyncio.Barrier(2)
    await asyncio.gather(add_one(database, together), add_one(database, together))
    async with engine.connect() as connection:
        (count,) = (await connection.execute(text("SELECT n FROM counter"))).one()
    return int(count)


def test_each_waits_for_the_one_before(tmp_path: Path) -> None:
    from nerbench.flows.server_app import SerializedWrites

    assert asyncio.run(both(SerializedWrites(f"sqlite+aiosqlite:///{tmp_path}/x.db"))) == 2


def test_prefect_refuses_the_second(tmp_path: Path) -> None:
    """If Prefect's own database no longer refuses it, nerbench's workaround is no longer needed."""
    from prefect.server.database.configurations import AioSqliteConfiguration
    from sqlalchemy.exc import OperationalError

    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(both(AioSqliteConfiguration(f"sqlite+aiosqlite:///{tmp_path}/x.db")))
