"""A PostgreSQL for tests, from the system's package."""

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect_site import free_port


def _programs() -> Path:
    """The folder of `initdb` and `pg_ctl`, which Debian does not put on the PATH."""
    found = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[-1:]), None)
    if found is None:
        pytest.skip("no PostgreSQL: install the system's package, e.g. apt-get install postgresql")
    return Path(found).parent


@contextmanager
def running_postgres() -> Iterator[str]:
    """The URL of an empty database for Prefect; PostgreSQL refuses root, so as root it runs as another user."""
    bin_, port = _programs(), free_port()
    # Not in pytest's folders, which each session closes to other users again.
    data = Path(tempfile.mkdtemp(prefix="nerbench-postgres-"))
    user = getpass.getuser()
    as_user: list[str] = []
    if os.geteuid() == 0:
        user, as_user = "nobody", ["runuser", "-u", "nobody", "--"]
        shutil.chown(data, user)

    def run(*command: object) -> None:
        subprocess.run([*as_user, *map(str, command)], check=True, capture_output=True, cwd="/")

    run(bin_ / "initdb", "-D", data, "-A", "trust", "-U", "prefect", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    run(bin_ / "pg_ctl", "-D", data, "-w", "-l", data / "log", "-o", options, "start")
    try:
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        run(bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(data)
