"""A folder of two users of one group: setgid, and both with umask 002."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fake_models import save_fake_model

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.store import Store

GROUP, FIRST, SECOND = 4242, 4001, 4002

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become two other users")


@contextmanager
def user(number: int, umask: int = 0o002) -> Iterator[None]:
    """Be another user, of GROUP alone."""
    before, groups, mask = os.getegid(), os.getgroups(), os.umask(umask)
    os.setgroups([])
    os.setegid(GROUP)
    os.seteuid(number)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before)
        os.setgroups(groups)
        os.umask(mask)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store in a shared folder; an upload renews any existing file."""
    monkeypatch.setattr("nerbench.artifacts.storage.filesystem.FRESH", timedelta(days=-1))
    with TemporaryDirectory(dir="/tmp") as name:  # pytest's own folders keep others out
        folder = Path(name)
        folder.chmod(0o755)
        shared = folder / "shared"
        shared.mkdir()
        os.chown(shared, 0, GROUP)
        shared.chmod(0o2775)
        save_fake_model(folder / "model", 1.0, 8, {})
        for path in folder.rglob("model*"):
            path.chmod(0o755)
        yield Store(f"{shared}/store")


def publish(store: Store, seed: int) -> ArtifactRef:
    """Publish the same files, as if from another training."""
    return store.publish(Path(store.url).parents[1] / "model", "toy", Provenance(seed=seed))


def modes(store: Store) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in Path(store.url).rglob("*") if path.is_file()}


def test_the_second_user_publishes_and_moves_aliases(store: Store) -> None:
    with user(FIRST):
        first = publish(store, 1)
        store.set_alias("toy", "champion", first.artifact_id)
    assert modes(store) == {0o664}
    with user(SECOND):
        second = publish(store, 2)
        store.set_alias("toy", "champion", second.artifact_id)
        assert store.aliases("toy") == {"latest": second.artifact_id, "champion": second.artifact_id}
    with user(FIRST):
        third = publish(store, 3)
        assert store.aliases("toy")["latest"] == third.artifact_id
        assert store.verify(first).ok
    assert modes(store) == {0o664}


def test_files_that_only_their_owner_can_write_are_replaced(store: Store) -> None:
    """If only the first user may write, because of the umask or an earlier version, a renewal becomes a rewrite."""
    with user(FIRST):
        first = publish(store, 1)
    files = [path for path in Path(store.url).rglob("*") if path.is_file()]
    for path in files:
        path.chmod(0o644)
    with user(SECOND):
        second = publish(store, 2)
        assert store.aliases("toy") == {"latest": second.artifact_id}
        assert store.verify(first).ok
        assert store.verify(second).ok
    owners = {path.stat().st_uid for path in Path(store.url, "blobs").rglob("*") if path.is_file()}
    assert owners == {SECOND}


def test_the_umask_decides(store: Store) -> None:
    with user(FIRST, 0o027):
        publish(store, 1)
    assert modes(store) == {0o640}


def test_a_user_without_write_access_gets_an_error(store: Store) -> None:
    with user(FIRST, 0o022):
        publish(store, 1)
    with user(SECOND), pytest.raises(InputError, match=r"^folder .*: cannot be written to \(Permission denied\); "):
        publish(store, 2)
