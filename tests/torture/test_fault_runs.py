"""Clients behind a proxy that fails 30 % of their requests retry until every write is acknowledged."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from fake_models import save_fake_model
from figures import SEED, Count
from killed_steps import alias, contents, publish, write
from ledger import Ledger
from random_faults import faulty

from nerbench.artifacts.errors import ConflictError, StoreUnreachableError
from nerbench.artifacts.manifest import MANIFEST_FILE, ArtifactKey
from nerbench.artifacts.store import Store

CLIENTS = 4
SHARE = 0.3
TRIES = 200
NAME = "toy"
T = TypeVar("T")


@dataclass
class Client:
    """One of several concurrent clients of a store."""

    url: str
    number: int
    folders: list[str]
    """The models that all clients publish."""
    pulled: Path
    """The folder for downloads."""
    ids: dict[str, str] = field(default_factory=dict)
    """The names of the published models."""
    keys: dict[str, int] = field(default_factory=dict)
    """The acknowledged files of the table and their values."""
    won: list[str] = field(default_factory=list)
    """The acknowledged files that every client tried to write."""
    alias: str = ""
    """The target of the client's alias."""
    wrong: list[str] = field(default_factory=list)
    """Reads that differ from the acknowledged data."""
    acknowledged: int = 0
    """The number of writes."""

    def play(self, turns: int) -> "Client":
        """Write, race, publish, move an alias and read, `turns` times."""
        for turn in range(turns):
            folder = self.folders[(turn + self.number) % len(self.folders)]
            self._write(turn)
            self.ids[folder] = artifact_id = self._until_done(publish, self.url, folder, NAME)
            self.acknowledged += 1
            for target in (*self.ids.values(), artifact_id):  # fast, so that what is late comes too late
                self.alias = self._until_done(alias, self.url, NAME, f"client{self.number}", target)
                self.acknowledged += 1
            self._read(folder, artifact_id)
        return self

    def _write(self, turn: int) -> None:
        for key, value in ((f"{self.number}-{turn}", self.number), (f"all-{turn}", 0), (f"race-{turn}", self.number)):
            try:
                self._until_done(write, self.url, key, value)
            except ConflictError:
                assert key.startswith("race")
                continue
            self.acknowledged += 1
            self.keys[key] = value
            if key.startswith("race"):
                self.won.append(key)

    def _read(self, folder: str, artifact_id: str) -> None:
        store, target = Store(self.url), self.pulled / uuid4().hex
        self._until_done(store.pull, ArtifactKey(name=NAME, artifact_id=artifact_id), target)
        (target / MANIFEST_FILE).unlink()
        if contents(target) != contents(Path(folder)):
            self.wrong.append(f"{artifact_id} is read as {contents(target)}")
        listed = self._until_done(store.keys).get(NAME, [])
        self.wrong += [f"{known} is not listed" for known in self.ids.values() if known not in listed]
        aliases = self._until_done(store.aliases, NAME)
        if aliases.get(f"client{self.number}") != artifact_id:
            self.wrong.append(f"client{self.number} points to {aliases}, not to {artifact_id}")

    def _until_done(self, operation: Callable[..., T], *arguments: Any) -> T:
        for _ in range(TRIES):
            try:
                return operation(*arguments)
            except StoreUnreachableError:
                continue
        raise AssertionError(f"nothing is acknowledged after {TRIES} tries, seed {SEED}")


def fault_run(url: str, folder: Path, seed: int, turns: int, count: Count) -> None:
    """Run the clients behind the proxy, then read everything without it."""
    folders = [str(save_fake_model(folder / f"{number}", float(number), 64, {})) for number in range(CLIENTS)]
    clients = [Client(url, number, folders, folder / "pulled") for number in range(CLIENTS)]
    with pytest.MonkeyPatch.context() as patch, faulty(os.environ["AWS_ENDPOINT_URL"], SHARE, seed) as proxy:
        patch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with ThreadPoolExecutor(CLIENTS) as pool:
            for client in [pool.submit(client.play, turns) for client in clients]:
                client.result()
        proxy.settle()
    count.faults += proxy.made.total()
    count.schedules += 1
    _compare(url, clients, turns, count)


def _compare(url: str, clients: list[Client], turns: int, count: Count) -> None:
    ledger = Ledger(url)
    for client in clients:
        ledger.artifacts |= {(NAME, artifact_id) for artifact_id in client.ids.values()}
        ledger.rows |= client.keys
        ledger.aliases[NAME, f"client{client.number}"] = {client.alias}
        count.lost += client.wrong
        count.acknowledged += client.acknowledged
    for turn in range(turns):
        winners = [client.number for client in clients if f"race-{turn}" in client.won]
        if len(winners) != 1:
            count.duplicates.append(f"race-{turn} was won by {winners}")
    count.add(ledger.check())


def test_a_short_run(moto_bucket: str, figures: list[Count], tmp_path: Path) -> None:
    count = Count("30 % of requests fail", "moto")
    figures.append(count)
    fault_run(f"{moto_bucket}/short", tmp_path, SEED, 1, count)
    assert count.faults > 20
    count.assert_nothing_lost()


@pytest.mark.torture
def test_long_runs(any_s3_url: str, server_name: str, figures: list[Count], tmp_path: Path) -> None:
    count = Count("30 % of requests fail", server_name)
    figures.append(count)
    for run in range(6):
        fault_run(f"{any_s3_url}/{run}", tmp_path / f"{run}", SEED + run, 4, count)
    count.assert_nothing_lost()
