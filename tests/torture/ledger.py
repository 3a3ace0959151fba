"""Compares the acknowledged writes with the data that a reader finds."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
from killed_steps import ROWS, TABLE

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.manifest import ArtifactKey
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results


class Findings(NamedTuple):
    """Violations, one line each; there must be none."""

    lost: list[str]
    """Acknowledged, but missing."""
    torn: list[str]
    """Present, but incomplete, or never requested."""
    duplicates: list[str]
    """Present more than once."""


@dataclass
class Ledger:
    """The acknowledged writes of one store and one table."""

    url: str
    artifacts: set[tuple[str, str]] = field(default_factory=set)
    """Name and id of artifacts whose publication was acknowledged."""
    pending: set[tuple[str, str]] = field(default_factory=set)
    """Name and id of artifacts that may be present."""
    aliases: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """The possible targets of each alias."""
    rows: dict[str, int] = field(default_factory=dict)
    """Key and value of the acknowledged files of the table."""
    pending_rows: dict[str, set[int]] = field(default_factory=dict)
    """The values of all attempted writes."""

    def check(self) -> Findings:
        """Read and check everything."""
        findings = Findings([], [], [])
        self._check_artifacts(findings)
        self._check_rows(findings)
        self._check_glob(findings)
        return findings

    def _check_artifacts(self, findings: Findings) -> None:
        store = Store(self.url)
        keys = [(name, artifact_id) for name, ids in store.keys().items() for artifact_id in ids]
        findings.lost.extend(f"artifact {key}" for key in self.artifacts - set(keys))
        findings.duplicates.extend(f"artifact {key}" for key, times in Counter(keys).items() if times > 1)
        for name, artifact_id in keys:
            found = store.verify(ArtifactKey(name=name, artifact_id=artifact_id))
            if not found.ok or (name, artifact_id) not in self.artifacts | self.pending:
                findings.torn.append(f"artifact {name} {artifact_id}: {found.problems}")
        listed = Counter((summary.name, summary.artifact_id) for summary in store.list())
        if listed != Counter(keys):
            findings.torn.append(f"listed are {sorted(listed)}, there are {sorted(keys)}")
        self._check_aliases(store, set(keys), findings)

    def _check_aliases(self, store: Store, keys: set[tuple[str, str]], findings: Findings) -> None:
        for name in {name for name, _ in keys} | {name for name, _ in self.aliases}:
            try:
                found = store.aliases(name)
            except CorruptArtifactError as error:
                findings.torn.append(f"aliases of {name}: {error}")
                continue
            for alias, target in found.items():
                if (name, target) not in keys:
                    findings.torn.append(f"alias {name}@{alias} points to nothing: {target}")
            for (owner, alias), targets in self.aliases.items():
                if owner == name and found.get(alias, "") not in targets:
                    findings.lost.append(f"alias {name}@{alias} is {found.get(alias)} and none of {targets}")

    def _check_rows(self, findings: Findings) -> None:
        found: dict[str, list[tuple[int, int]]] = {}
        try:
            table = read_results(self.url, TABLE)
        except CorruptArtifactError as error:
            findings.torn.append(str(error))
            return
        for run, number, value in zip(
            *(table[name].to_pylist() for name in ("run_id", "batch_size", "sequence_length")), strict=True
        ):
            found.setdefault(run, []).append((number, value))
        findings.lost.extend(f"rows of {key}" for key in self.rows.keys() - found.keys())
        for key, got in found.items():
            values = {self.rows[key]} if key in self.rows else self.pending_rows.get(key, set())
            distinct = set(got)
            if len(distinct) < len(got):
                findings.duplicates.append(f"rows of {key}: {got}")
            if not any(distinct == {(number, value) for number in range(ROWS)} for value in values):
                findings.torn.append(f"rows of {key} are {got}, not of one of {values}")

    def _check_glob(self, findings: Findings) -> None:
        """Other readers may meet rows twice while a day is compacted, but they never miss one."""
        paths = Path(self.url, TABLE).glob("schema=*/date=*/*.parquet")  # none in an object store
        found = {key for path in paths for key in pq.read_table(path, partitioning=None)["run_id"].to_pylist()}
        if "://" not in self.url:
            findings.lost.extend(f"rows of {key}, read by a glob" for key in self.rows.keys() - found)
