"""A PostgreSQL of our own in a folder, from the system's package."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prefect_site import free_port


def _programs() -> Path:
    """Where `initdb` and `pg_ctl` are; Debian keeps them off the PATH."""
    found = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))[-1:]), None)
    if found is None:
        pytest.skip("no PostgreSQL: install the system's package, e.g. apt-get install postgresql")
    return Path(found).parent


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """The URL of an empty database for Prefect; PostgreSQL refuses root, so as root it runs as another user."""
    bin_, data, port = _programs(), folder / "postgres", free_port()
    data.mkdir(mode=0o700)
    user = getpass.getuser()
    as_user: list[str] = []
    if os.geteuid() == 0:
        user, as_user = "nobody", ["runuser", "-u", "nobody", "--"]
        shutil.chown(data, user)
        for parent in data.parents[:-2]:
            parent.chmod(parent.stat().st_mode | 0o011)  # to get through to its own folder

    def run(*command: object) -> None:
        subprocess.run([*as_user, *map(str, command)], check=True, capture_output=True, cwd="/")

    run(bin_ / "initdb", "-D", data, "-A", "trust", "-U", "prefect", "--no-sync")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    run(bin_ / "pg_ctl", "-D", data, "-w", "-l", data / "log", "-o", options, "start")
    try:
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        run(bin_ / "pg_ctl", "-D", data, "-m", "immediate", "stop")
