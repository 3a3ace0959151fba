"""Compares the store with a dictionary: publish, crash at a step, retry, alias, collect, verify, list, load."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import hypothesis.strategies as st
import pytest
from crashing_root import Crashed, crashing
from figures import Count
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from killed_steps import contents

from nerbench.artifacts.aliases import Expected
from nerbench.artifacts.errors import ConflictError
from nerbench.artifacts.garbage import find_garbage, remove_garbage
from nerbench.artifacts.manifest import MANIFEST_FILE, ArtifactKey, Provenance
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.artifacts.store_layout import kind_of, manifest_path

NAMES = st.sampled_from(["a", "b"])
MODELS = 3
NUMBERS = st.integers(0, MODELS - 1)
ALIASES = st.sampled_from(["champion", "latest"])
CRASHES = st.integers(1, 40)
Artifact = tuple[str, str]
"""Name and id."""


def publish(store: Store, folder: Path, name: str) -> str:
    """Publish the model in `folder`, dated by the folder's name; return its id."""
    when = datetime(2026, 1, 1 + int(folder.name), tzinfo=UTC)
    return store.publish(folder, name, Provenance(created_at=when)).artifact_id


class StoreMachine(RuleBasedStateMachine):
    """`_artifacts` and `_aliases` are the dictionary."""

    def __init__(self, url: str, folder: Path, known: dict[Artifact, int], count: Count) -> None:
        """`url` must be new, `folder` contains the models by number, and `known` has the artifacts they become."""
        super().__init__()
        self._store, self._folder, self._known, self._count = Store(url), folder, known, count
        self._artifacts: set[Artifact] = set()
        self._aliases: dict[Artifact, str] = {}
        self._crashed: Callable[[], None] | None = None
        self._count.schedules += 1

    @rule(name=NAMES, number=NUMBERS)
    def publish(self, name: str, number: int) -> None:
        artifact_id = publish(self._store, self._folder / f"{number}", name)
        assert self._known[name, artifact_id] == number
        self._artifacts.add((name, artifact_id))
        if self._is_newest(name, artifact_id):
            self._aliases[name, "latest"] = artifact_id
        self._count.acknowledged += 1

    @rule(name=NAMES, number=NUMBERS, crash_at=CRASHES)
    def crash_in_publish(self, name: str, number: int, crash_at: int) -> None:
        new = next(artifact for artifact in self._known if artifact[0] == name and self._known[artifact] == number)
        folder = self._folder / f"{number}"
        if self._crash(crash_at, lambda store: publish(store, folder, name), lambda: self.publish(name, number)):
            found = self._listed()
            assert self._artifacts <= found <= self._artifacts | {new}
            self._artifacts = found
            self._settle(name, "latest", new[1])

    @precondition(lambda self: self._crashed is not None)
    @rule()
    def retry(self) -> None:
        again, self._crashed = self._crashed, None
        assert again is not None
        again()

    @precondition(lambda self: self._artifacts)
    @rule(data=st.data(), alias=ALIASES)
    def alias(self, data: st.DataObject, alias: str) -> None:
        name, artifact_id = data.draw(st.sampled_from(sorted(self._artifacts)))
        self._set_alias(name, alias, artifact_id)

    @precondition(lambda self: self._artifacts)
    @rule(data=st.data(), alias=ALIASES, crash_at=CRASHES)
    def crash_in_alias(self, data: st.DataObject, alias: str, crash_at: int) -> None:
        name, artifact_id = data.draw(st.sampled_from(sorted(self._artifacts)))

        def again() -> None:
            if (name, artifact_id) in self._artifacts:  # it may have been collected since
                self._set_alias(name, alias, artifact_id)

        if self._crash(crash_at % 12 + 1, lambda store: store.set_alias(name, alias, artifact_id), again):
            self._settle(name, alias, artifact_id)

    @precondition(lambda self: self._artifacts)
    @rule(data=st.data(), alias=ALIASES, right=st.booleans())
    def alias_if_expected(self, data: st.DataObject, alias: str, right: bool) -> None:
        name, artifact_id = data.draw(st.sampled_from(sorted(self._artifacts)))
        now = self._aliases.get((name, alias), Expected.NOTHING)
        if right:
            self._store.set_alias(name, alias, artifact_id, expected=now)
            self._aliases[name, alias] = artifact_id
        else:
            with pytest.raises(ConflictError, match=f"{name}@{alias}"):
                self._store.set_alias(name, alias, artifact_id, expected="0" * 64)

    @rule(unaliased=st.booleans())
    def collect(self, unaliased: bool) -> None:
        _collect(self._store, unaliased)
        if unaliased:
            self._artifacts = self._aliased()
        needed = {entry.sha256 for key in self._keys() for entry in self._store.manifest(key).files}
        root = open_root(self._store.url)
        found = [path for folder in ("blobs", "models") for path in root.inventory(folder).files]
        assert {path.rpartition("/")[2] for path in found if kind_of(path) == "blob"} == needed
        assert {kind_of(path) for path in found} <= {"blob", "manifest", "alias", "lock"}

    @rule(unaliased=st.booleans(), crash_at=CRASHES)
    def crash_in_collect(self, unaliased: bool, crash_at: int) -> None:
        before = self._artifacts
        if self._crash(crash_at, lambda store: _collect(store, unaliased), lambda: self.collect(unaliased)):
            found = self._listed()
            assert (self._aliased() if unaliased else before) <= found <= before
            self._artifacts = found

    @rule()
    def verify(self) -> None:
        for key in self._keys():
            assert self._store.verify(key).problems == ()

    @precondition(lambda self: self._artifacts)
    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        name, artifact_id = data.draw(st.sampled_from(sorted(self._artifacts)))
        target = self._folder / uuid4().hex
        self._store.pull(ArtifactKey(name=name, artifact_id=artifact_id), target)
        (target / MANIFEST_FILE).unlink()
        assert contents(target) == contents(self._folder / f"{self._known[name, artifact_id]}")
        shutil.rmtree(target)

    @rule()
    def list_all(self) -> None:
        listed = [(summary.name, summary.artifact_id) for summary in self._store.list()]
        assert sorted(listed) == sorted(self._artifacts)

    @invariant()
    def as_the_dictionary_says(self) -> None:
        assert self._listed() == self._artifacts
        names = {name for name, _ in self._artifacts}
        aliases = {(name, alias): to for name in names for alias, to in self._store.aliases(name).items()}
        assert aliases == self._aliases

    def _set_alias(self, name: str, alias: str, artifact_id: str) -> None:
        self._store.set_alias(name, alias, artifact_id)
        self._aliases[name, alias] = artifact_id
        self._count.acknowledged += 1

    def _crash(self, crash_at: int, operation: Callable[[Store], object], again: Callable[[], None]) -> bool:
        """Run an action in a process that crashes; if it was complete before the crash, call `again`."""
        try:
            with crashing(self._store.url, crash_at):
                operation(Store(self._store.url))
        except Crashed:
            self._crashed = again
            self._count.kills += 1
            return True
        again()
        return False

    def _settle(self, name: str, alias: str, new: str) -> None:
        """After a crash, an alias has the old or the new target; copy the actual one to the dictionary."""
        found = self._store.aliases(name).get(alias)
        assert found in (self._aliases.get((name, alias)), new)
        if found is not None:
            self._aliases[name, alias] = found

    def _listed(self) -> set[Artifact]:
        return {(name, artifact_id) for name, ids in self._store.keys().items() for artifact_id in ids}

    def _keys(self) -> list[ArtifactKey]:
        return [ArtifactKey(name=name, artifact_id=artifact_id) for name, artifact_id in sorted(self._artifacts)]

    def _aliased(self) -> set[Artifact]:
        return {(name, to) for (name, _), to in self._aliases.items()}

    def _is_newest(self, name: str, artifact_id: str) -> bool:
        """By the dates of the manifests in the store, not those of the publishers."""
        now, root = self._aliases.get((name, "latest"), artifact_id), open_root(self._store.url)
        there, here = (
            root.modified(manifest_path(ArtifactKey(name=name, artifact_id=one))) for one in (now, artifact_id)
        )
        return here >= there


def _collect(store: Store, unaliased: bool) -> None:
    grace = timedelta(hours=1)
    old = timedelta(0) if unaliased else None
    found = find_garbage(store, grace=grace, unaliased=old, now=datetime.now(UTC) + 2 * grace)
    remove_garbage(store, found)
