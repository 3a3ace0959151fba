"""If a listing or read fails, no needed file is deleted, and no object is reported as missing or left out silently.

Each operation runs once for each of its calls to the file system, and this call fails.
"""

import errno
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fake_models import MakeModel
from faulty_reads import Faults, faulty_reads
from run_files import NOW, WEEK, compact_runs, read, write

from nerbench.artifacts.errors import NerbenchError, collected
from nerbench.artifacts.garbage import find_foreign, find_garbage, remove_garbage
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.references import resolve, verify
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store, Verification
from nerbench.artifacts.tables.tables import find_table_file, read_newest_first

LATER = datetime.now(UTC) + timedelta(days=30)
NUMBERS = (
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EMFILE,
    errno.ENOMEM,
    errno.EHOSTDOWN,
)
TWO = [(errno.EACCES, False), (errno.ESTALE, True)]
ALL = [(number, lasting) for number in NUMBERS for lasting in (False, True)]
SEVERAL = [pytest.param(TWO, id="two"), pytest.param(ALL, id="all", marks=pytest.mark.torture)]
"""Errors, and whether they last."""
LEFT = f"blobs/sha256/00/{'0' * 64}"
"""The only file that may be deleted."""


@pytest.fixture
def shop(root_url: str, make_model: MakeModel) -> Store:
    """A store with two models, garbage and two foreign files, and results of two days, one of them compacted."""
    store, root = Store(root_url), open_root(root_url)
    for number in (1.0, 2.0):
        store.publish(make_model(f"{number}", value=number), f"toy{number:.0f}", Provenance())
    store.set_alias("toy1", "champion", store.aliases("toy1")["latest"])
    root.create(LEFT, b"0")
    root.create("blobs/notes", b"mine")
    for key in "ab":
        write(root_url, key)
    compact_runs(root_url)
    write(root_url, "c")
    write(root_url, "d", "2026-01-03")
    return store


def verified(store: Store) -> list[Verification]:
    """Verify an artifact. Raises if there are problems, as the command ends with status 1."""
    found = verify("toy1", store.url)
    if problems := [problem for one in found for problem in one.problems]:
        raise NerbenchError(problems[0])
    return found


READING: dict[str, Callable[[Store], Any]] = {
    "list": lambda store: store.list(),
    "keys": lambda store: store.keys(),
    "aliases": lambda store: store.aliases("toy1"),
    "every model": lambda store: resolve("*@latest", store.url),
    "verify": verified,
    "garbage": lambda store: find_garbage(store, unaliased=timedelta(0), now=LATER),
    "foreign": find_foreign,
    "results": lambda store: read(store.url),
    "results by date": lambda store: [(one.date, one.rows.num_rows) for one in read_newest_first(store.url, "runs")],
    "a file of results": lambda store: find_table_file(store.url, "runs", "a"),
}
WRITING: dict[str, Callable[[Store], Any]] = {
    "collect": lambda store: remove_garbage(store, find_garbage(store, unaliased=timedelta(0), now=LATER)),
    "compact": lambda store: compact_runs(store.url, now=NOW + 2 * WEEK),
}


def outcome(store: Store, operation: Callable[[Store], Any], faults: Faults) -> Any:
    """The result of an operation, or else its error or first report, which must be one line for users."""
    with faulty_reads(store.url, faults), collected() as problems:
        try:
            done = operation(Store(store.url))
            return next(iter(problems.values()), done)
        except NerbenchError as error:
            return error if "\n" not in str(error) else pytest.fail(str(error))


def spoil_each(store: Store, operation: Callable[[Store], Any], number: int, *, lasting: bool = False) -> list[Any]:
    """The outcome for each call that can fail."""
    found = []
    while True:
        faults = Faults(len(found), number, lasting=lasting)
        said = outcome(store, operation, faults)
        if not faults.happened:
            return found
        found.append(said)


def content(store: Store) -> dict[str, bytes]:
    root = open_root(store.url)
    return {path: root.read(path) for path in root.files(recursive=True)}


@pytest.mark.parametrize("cases", SEVERAL)
@pytest.mark.parametrize("name", READING)
def test_nothing_is_left_out_silently(shop: Store, name: str, cases: list[tuple[int, bool]]) -> None:
    before, right = content(shop), READING[name](shop)
    for number, lasting in cases:
        for position, said in enumerate(spoil_each(shop, READING[name], number, lasting=lasting)):
            case = f"{os.strerror(number)} at call {position}"
            # A call that fails once is retried, except on local disks. s3fs asks whether an empty folder is a file, and
            # ignores that this fails.
            assert isinstance(said, NerbenchError) or said == right, case
    assert content(shop) == before


@pytest.mark.parametrize(
    ("cases", "step"), [pytest.param(TWO, 2, id="two"), pytest.param(ALL, 1, id="all", marks=pytest.mark.torture)]
)
@pytest.mark.parametrize("name", WRITING)
def test_nothing_needed_is_deleted(shop: Store, name: str, cases: list[tuple[int, bool]], step: int) -> None:
    """With a `step` of 2, one error is at every even call and the other at every odd one.

    Nothing restores what `collect` deletes, so one look at the end is enough for it.
    """
    root, rows, before = open_root(shop.url), read(shop.url), content(shop).keys() - {LEFT}
    for first, (number, lasting) in enumerate(cases):
        position, happened = first % step, True
        while happened:
            faults = Faults(position, number, lasting=lasting)
            outcome(shop, WRITING[name], faults)
            assert name == "collect" or read(shop.url) == rows
            if not root.exists(LEFT):
                root.create(LEFT, b"0")
            position, happened = position + step, faults.happened
    assert read(shop.url) == rows
    assert name != "collect" or set(root.files(recursive=True)) - {LEFT} == before
