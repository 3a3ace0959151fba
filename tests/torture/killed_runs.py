"""Runs steps in processes that are killed, and records the acknowledged results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from figures import Count
from fork_server import ForkServer, Life
from killed_steps import STEPS, contents
from ledger import Ledger

Step = list[Any]
"""A name of `killed_steps.STEPS` and its arguments without the store's URL."""


@dataclass
class Runs:
    """Makes runs, each with a new store."""

    server: ForkServer
    folder: Path
    """The folder of the caches, and of local stores."""
    count: Count
    """The counts of all runs."""
    ids: dict[str, str]
    """Folders of models, and the ids of their artifacts."""
    url: str = ""
    """The URL of the stores if they are not local."""
    made: int = 0
    """The number of runs."""

    def new(self) -> "Run":
        """A run with an empty store."""
        self.made += 1
        return Run(self, f"{self.made}")


class Run:
    """One store, used by several processes in turn."""

    def __init__(self, runs: Runs, name: str) -> None:
        self._inside = str(runs.folder / name)
        self.url = f"{runs.url}/{name}" if runs.url else f"{self._inside}/root"
        self.ledger = Ledger(self.url)
        self._server, self._count, self._ids = runs.server, runs.count, runs.ids

    def do(self, steps: list[Step]) -> None:
        """Do the steps in this process."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NERBENCH_CACHE", f"{self._inside}/cache")
            for name, *arguments in steps:
                self._settle([name, *arguments], STEPS[name](self.url, *arguments))
        self._count.acknowledged += len(steps)

    def do_killed(self, steps: list[Step], kill_at: int) -> Life:
        """Do the steps in a process that is killed at a call (0 for none)."""
        life = self._server.run([[name, self.url, *arguments] for name, *arguments in steps], self._inside, kill_at)
        for number, step in enumerate(steps):
            self._settle(step, life.acknowledged[number] if number < len(life.acknowledged) else None)
        self._count.kills += life.killed
        self._count.acknowledged += len(life.acknowledged)
        return life

    def check(self) -> None:
        """Read everything, and record violations of acknowledged results."""
        self._count.add(self.ledger.check())

    def blobs(self) -> dict[str, int]:
        """The inode of every blob of a local store: a new inode means that it was copied again."""
        return {path.name: path.stat().st_ino for path in Path(self.url, "blobs").rglob("*") if path.suffix != ".tmp"}

    def check_blobs(self, before: dict[str, int]) -> None:
        """Record the blobs that were complete before and were copied nevertheless."""
        after = self.blobs()
        self._count.duplicates += [f"{name} was copied again" for name in before if after.get(name) != before[name]]

    def _settle(self, step: Step, did: Any | None) -> None:
        ledger = self.ledger
        match step:
            case ["publish", folder, name]:
                artifact = (name, self._ids[folder])
                again = artifact in ledger.pending | ledger.artifacts
                (ledger.pending if did is None else ledger.artifacts).add(artifact)
                # An earlier artifact does not move `latest` back from a later one.
                self._settle_alias((name, "latest"), self._ids[folder], did is not None and not again)
                if did is not None:
                    ledger.aliases[name, "latest"].discard("")
            case ["alias", name, alias, target]:
                self._settle_alias((name, alias), target, did is not None)
            case ["write", key, value]:
                ledger.pending_rows.setdefault(key, set()).add(value)
                if did is not None:
                    ledger.rows[key] = value
            case ["load", name, target] if did is not None:
                folder = next(folder for folder, artifact_id in self._ids.items() if artifact_id == target)
                if did != contents(Path(folder)):
                    self._count.torn.append(f"loaded {name} {target} is {did}")

    def _settle_alias(self, alias: tuple[str, str], target: str, acknowledged: bool) -> None:
        allowed = self.ledger.aliases.setdefault(alias, {""})
        if acknowledged:
            allowed.clear()
        allowed.add(target)
