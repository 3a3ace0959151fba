"""Packs the many small files of a past day into one without losing a row; `table_files` describes the files.

A run that is complete packs the files of its day, and `compact` packs all past days. A day is packed into one file with
a manifest. After the grace time, the next compaction publishes the packed file, deletes the files that it replaces, and
packs the day again if files were added. A crash can happen after any step, and several processes can do the same step:
the next compaction completes what is unfinished.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow as pa

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError, InputError, NerbenchError, report
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.tables.parquet import as_parquet, create_file, read_rows
from nerbench.artifacts.tables.schemas import COMPACTABLE
from nerbench.artifacts.tables.table_files import (
    OUTDATED,
    Compaction,
    Day,
    Found,
    Replaced,
    Version,
    list_days,
    list_table,
    listed,
    packed_path,
    valid_compaction,
)
from nerbench.artifacts.tables.upgrading import current_name
from nerbench.artifacts.transfers import in_parallel


class Compacted(NamedTuple):
    """The work done on one table."""

    table: str
    days: int
    """Days that were packed."""
    packed: int
    """Files whose rows are now in a larger file."""
    deleted: int
    """Deleted files, whose grace time was over."""


def store_time(results_url: str) -> datetime:
    """The time by the clock of the store, so that the grace time does not depend on the clocks of machines.

    Raises NerbenchError if nothing can be written there.
    """
    root = open_root(results_url)
    if not any(root.folders(table) for table in COMPACTABLE):  # nothing to compact
        return datetime.now(UTC)
    try:
        return root.now("clock")
    except OSError as error:
        raise NerbenchError(f"{root.url} cannot be written: {error.strerror or error}") from error


FEWEST = 8
"""Small files of a table that a run packs; fewer are read fast enough."""
_SHARE = 4
"""A day is packed again when its small files are a quarter of those packed before, so that many runs a day do not each
write all rows of the day again."""
_TRIES = 3
_BY = ("model", "dataset")
"""The order of the rows of a packed file: readers of one model skip the row groups of all others."""


class _Done(NamedTuple):
    packed: int = 0
    deleted: int = 0


def compact(
    results_url: str, tables: Sequence[str], *, grace: timedelta, now: datetime | None = None
) -> list[Compacted]:
    """Pack all days of these tables that are over in UTC, and delete the files that were replaced longer ago than
    `grace`.

    `now`: by default `store_time`. No reader may take longer than `grace`. Raises InputError for a table that is not
    in COMPACTABLE, and NerbenchError if there is no room. A day with a damaged file stays unchanged and is reported
    (`artifacts/errors.py`). If reports are collected, the other days are compacted; otherwise, raises
    CorruptArtifactError.
    """
    if unknown := [table for table in tables if table not in COMPACTABLE]:
        raise InputError(f"table {unknown[0]!r}", "is not compacted", f"choose one of {', '.join(COMPACTABLE)}")
    now = now or store_time(results_url)
    root, today = open_root(results_url), now.astimezone(UTC).date().isoformat()
    report = []
    for table in tables:
        days = [item for item in list_table(root, table).items() if item[0].date < today]
        done = [_compact_sound(root, day, found, grace, now) for day, found in days]
        packed = [one.packed for one in done if one.packed]
        report.append(Compacted(table, len(packed), sum(packed), sum(one.deleted for one in done)))
    return report


def pack_run(results_url: str, uris: Mapping[str, Collection[str]], *, now: datetime | None = None) -> int:
    """Pack the days of the files that a complete run wrote (`uris` by table), if they are many; returns their number.

    `now`: by default `store_time`, which sends requests; without files to pack, it is not called.

    The small files stay until `compact` deletes them after the grace time, so a crash loses nothing: first the packed
    file is written, then the manifest that replaces the small ones. Raises NerbenchError if there is no room, and
    CorruptArtifactError for a damaged file, whose day stays unchanged.
    """
    root = open_root(results_url)
    days = [
        day
        for table in COMPACTABLE
        for day, keys in _written_days(root, table, uris.get(table, ())).items()
        if len(keys) >= FEWEST
    ]
    if not days:
        return 0
    now = now or store_time(results_url)
    return sum(_pack_day(root, day, now) for day in days)


def _written_days(root: Root, table: str, uris: Collection[str]) -> dict[Day, list[str]]:
    """The keys of a run's files by day, without those that were packed already."""
    listing = listed((uri.removeprefix(f"{root.url}/") for uri in uris), ())
    return {day: list(found.written) for day, found in listing.items() if day.table == table}


def _pack_day(root: Root, day: Day, now: datetime) -> int:
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):  # another compaction is ahead of this one
            (found,) = list_days(root, {day: [day.schema]}).values()
            compaction = valid_compaction(root, found)
            later = found.later(compaction)
            if found.outdated or len(later) < max(FEWEST, len(compaction.replaced) // _SHARE if compaction else 0):
                return 0
            packed = [packed_path(day, found, max(found.manifests), compaction)] if compaction else []
            if _pack(root, day, compaction, list(later), [*packed, *later.values()], now):
                return len(later)
    return 0


def _compact_sound(root: Root, day: Day, found: Found, grace: timedelta, now: datetime) -> _Done:
    try:
        return _compact_day(root, day, found, grace, now)
    except CorruptArtifactError as error:
        report(root.uri(day.folder), error)
        return _Done()


def _compact_day(root: Root, day: Day, found: Found, grace: timedelta, now: datetime) -> _Done:
    done = _Done()
    with suppress(FileNotFoundError):  # another compaction is ahead of this one
        compaction = valid_compaction(root, found)
        for outdated in found.outdated:
            raise CorruptArtifactError(f"{root.uri(outdated)} {OUTDATED}; nothing of {day.date} is deleted")
        if compaction and (leftovers := _leftovers(found, compaction)):
            if now - compaction.created_at < grace:
                return done
            _publish(root, day, found, max(found.manifests), compaction)
            in_parallel(root.delete, leftovers, root.at_once)
            done = _Done(deleted=len(leftovers))
        later = found.later(compaction)
        packed = [day._replace(schema=max(found.manifests)[0]).published(compaction.number)] if compaction else []
        paths = [*packed, *later.values()]
        is_due = len(paths) > 1 or any(not path.startswith(f"{day.folder}/") for path in paths)
        if is_due and _pack(root, day, compaction, list(later), paths, now):
            done = done._replace(packed=len(later) or 1)
    return done


def _leftovers(found: Found, compaction: Compaction) -> list[str]:
    """Files that are not needed once the packed file is published."""
    valid = max(found.manifests)
    return [
        *(found.written[entry.key] for entry in compaction.replaced if entry.key in found.written),
        *(path for version, path in found.published.items() if version < valid),
        *(path for path, version in found.packed.items() if version <= valid),
        *(path for version, path in found.manifests.items() if version < valid),
    ]


def _publish(root: Root, day: Day, found: Found, version: Version, compaction: Compaction) -> None:
    """Publish the packed file where every reader looks. Raises CorruptArtifactError if it is damaged."""
    path = packed_path(day, found, version, compaction)
    published = day._replace(schema=version[0]).published(compaction.number)
    data = root.read(path)
    if sha256_hex(data) != compaction.sha256:
        raise CorruptArtifactError(f"{root.uri(path)} differs from its manifest; nothing of {day.date} is deleted")
    if path == published:
        return
    try:
        create_file(root, published, data)
    except FileExistsError:
        _publish(root, day, Found(published={version: published}), version, compaction)


def _pack(  # noqa: PLR0913, PLR0917 - what is packed, and where
    root: Root, day: Day, before: Compaction | None, later: Sequence[str], paths: Sequence[str], now: datetime
) -> bool:
    """Write the rows of a day to one file in the current schema, then its manifest. False if another compaction was
    faster. Raises CorruptArtifactError for a damaged file.

    `paths`: the packed file of the previous compaction, if there is one, then the files with the keys `later`.
    """
    number = before.number + 1 if before else 1
    if before and root.sha256(paths[0]) != before.sha256:
        raise CorruptArtifactError(f"{root.uri(paths[0])} differs from its manifest; {day.date} is not packed again")
    parts = in_parallel(lambda path: read_rows(root, path), paths, root.at_once)
    of_runs = sorted(zip(later, parts[1 if before else 0 :], strict=True), key=lambda one: _place(one[1]))
    later, parts = [key for key, _ in of_runs], [*parts[: 1 if before else 0], *(part for _, part in of_runs)]
    rows = pa.concat_tables(parts, promote_options="permissive")
    data = as_parquet(rows)
    manifest = Compaction(
        number=number,
        created_at=now,
        live=f"{number:06}-{sha256_hex(data)[:16]}.packed",
        sha256=sha256_hex(data),
        replaced=_replaced(day.table, before, later, parts, rows.column_names),
    )
    with suppress(FileExistsError):  # its name is its digest: the same rows were packed before
        create_file(root, f"{day.hidden}/{manifest.live}", data)
    try:
        create_file(root, day.manifest(number), canonical_json(manifest.model_dump(mode="json")))
    except FileExistsError:
        return False
    return True


def _place(rows: pa.Table) -> list[str]:
    """Where a small file belongs in the packed one."""
    return [str(rows[name][0].as_py()) for name in _BY if name in rows.column_names and rows.num_rows]


def _replaced(
    table: str, before: Compaction | None, later: Sequence[str], parts: Sequence[pa.Table], columns: Sequence[str]
) -> tuple[Replaced, ...]:
    """The position of each small file's rows in the packed file; those packed before come first."""
    entries = list(before.replaced) if before else []
    if before:
        added = [name for name in columns if name not in parts[0].column_names]
        entries = [
            entry.model_copy(update={"lacks": (*(current_name(table, name) for name in entry.lacks), *added)})
            for entry in entries
        ]
    first_row = parts[0].num_rows if before else 0
    for key, part in zip(later, parts[1:] if before else parts, strict=True):
        lacks = tuple(name for name in columns if name not in part.column_names)
        entries.append(Replaced(key=key, first_row=first_row, rows=part.num_rows, lacks=lacks))
        first_row += part.num_rows
    return tuple(entries)
