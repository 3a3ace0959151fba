"""The files that hold the rows of a result table, after the many small files of a day were packed into one.

  <table>/schema=<n>/date=<day>/<key>.parquet                      written by runs
  _compacted/<table>/schema=<n>/date=<day>/000001-<digest>.packed  their rows in one file, Parquet as well
  _compacted/<table>/schema=<n>/date=<day>/000001.json             manifest: that file, and what it replaces
  <table>/schema=<n>/date=<day>/compacted-000001.parquet           that file, in place of the small ones

The manifest is created last and exclusively. From then on, readers that know manifests read the packed file and skip
the files that it replaces, whether these still exist or not. The manifest with the highest number is valid: it lists
every file that was ever replaced on its day, and where the rows are now.

Other readers read everything that matches `<table>/schema=*/date=*/*.parquet`. Until the grace time is over, they find
only the small files, because packed files are elsewhere. (Those of schema 1 are in `<table>/schema=1/_compacted`, which
makes polars refuse the folder of the table.)

Then the packed file is published beside the small ones, and these are deleted. During that time, and after a crash in
it until the next compaction, such a reader finds rows twice. It never misses a row.

Files of an earlier schema belong to the same day as those of the current one: the next compaction packs them all in the
current schema. Of two small files with the same key, the one in the current schema is read.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date as calendar_date
from pathlib import PurePosixPath
from typing import Literal, NamedTuple, TypeVar

import pyarrow as pa
from pydantic import AwareDatetime, Field, ValidationError

from nerbench.artifacts.errors import CorruptArtifactError, InputError
from nerbench.artifacts.manifest import Digest, Record
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.tables.columns import VERSION
from nerbench.artifacts.tables.upgrading import written_as
from nerbench.artifacts.transfers import in_parallel

_PUBLISHED = re.compile(r"compacted-(\d{6})")
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""The name of a file without its ending."""
_WRITTEN = re.compile(r"([^/]+)/schema=(\d+)/date=([^/]*)/([^/._][^/]*)\.parquet")
_SCHEMA = re.compile(r"[^/]+/schema=(\d+)")
_HIDDEN = re.compile(
    r"(?:_compacted/)?([^/]+)/schema=(\d+)/(?:_compacted/)?date=(\d{4}-\d{2}-\d{2})/(\d{6})(\.json|-[0-9a-f]+\.packed)"
)
_ATTEMPTS = 5
MAX_MANIFEST_BYTES = 16 << 20
"""It names every file that was ever replaced on its day."""
Item = TypeVar("Item")
Result = TypeVar("Result")


class Replaced(Record):
    """A small file whose rows are in the packed file."""

    key: str
    """The file name without its suffix."""
    first_row: int = Field(ge=0)
    """The position of its first row in the packed file."""
    rows: int = Field(ge=0)
    """Number of rows."""
    lacks: tuple[str, ...] = ()
    """Columns of the packed file that the small file lacked."""


class Compaction(Record):
    """A manifest: one packed file that replaces small files of a day."""

    format: Literal["nerbench-compaction/1"] = "nerbench-compaction/1"
    number: int = Field(ge=1)
    """Number of the compaction on its day, from 1."""
    created_at: AwareDatetime
    """Start of the grace time."""
    live: str
    """The packed file, in the folder of the manifest."""
    sha256: Digest
    """The digest of the packed file."""
    replaced: tuple[Replaced, ...]
    """The small files in the order of their rows, which together make up all rows of the packed file."""


Version = tuple[int, int]
"""The schema of a compaction and its number: of several compactions of a day, the latest is valid."""


class Day(NamedTuple):
    """The part of a table that has one logical date, in all schemas that are read as the current one."""

    table: str
    schema: int
    """The schema in which files of this day are written."""
    date: str
    """YYYY-MM-DD."""

    @property
    def folder(self) -> str:
        """The folder where every reader looks."""
        return f"{self.table}/schema={self.schema}/date={self.date}"

    @property
    def hidden(self) -> str:
        """The folder where only readers of manifests look."""
        return f"{_hidden(self.table, self.schema)}/date={self.date}"

    def published(self, number: int) -> str:
        """The path of a published packed file, beside or instead of the files that it replaces."""
        return f"{self.folder}/compacted-{number:06}.parquet"

    def manifest(self, number: int) -> str:
        """The path of a manifest."""
        return f"{self.hidden}/{number:06}.json"


def checked_date(text: str) -> str:
    """A date in ISO format; raises InputError for anything else."""
    try:
        return calendar_date.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError(f"date {text!r}", "is not a date", "write it as YYYY-MM-DD") from None


@dataclass
class Found:
    """The files of a day."""

    written: dict[str, str] = field(default_factory=dict)
    """Paths of files that runs wrote, by key."""
    published: dict[Version, str] = field(default_factory=dict)
    """Paths of published packed files."""
    manifests: dict[Version, str] = field(default_factory=dict)
    """Paths of the manifests."""
    packed: dict[str, Version] = field(default_factory=dict)
    """The packed files that are not published, by path."""
    odd: list[str] = field(default_factory=list)
    """Paths beside the files of runs with an impossible date or name."""

    @property
    def outdated(self) -> list[str]:
        """Paths of manifests that an earlier version of nerbench wrote after one of a later version."""
        return [
            path
            for (schema, number), path in self.manifests.items()
            if any(schema < later and number >= at_least for later, at_least in self.manifests)
        ]

    def later(self, compaction: Compaction | None) -> dict[str, str]:
        """The files in `written` whose rows are not in the packed file."""
        replaced = {entry.key for entry in compaction.replaced} if compaction else ()
        return {key: path for key, path in self.written.items() if key not in replaced}


class Packed(NamedTuple):
    """The position of a small file's rows after a compaction."""

    path: str
    """Path of the packed file."""
    entry: Replaced

    def of(self, rows: pa.Table) -> pa.Table:
        """The rows of the small file, from all rows of the packed file."""
        return rows.slice(self.entry.first_row, self.entry.rows).drop_columns(list(self.entry.lacks))


class Live(NamedTuple):
    """The files of a day that together hold its rows."""

    packed: str | None
    """The packed file, if there is one."""
    written: list[str]
    """Files of runs whose rows are not in it."""
    replaced: list[str]
    """Replaced files that still exist, to read if the packed file is damaged."""
    problems: dict[str, str]
    """Problems of other files, by location."""

    def of_keys(self, keys: Collection[str]) -> "Live":
        """The same without the files of runs that have other keys."""
        return self._replace(written=[path for path in self.written if PurePosixPath(path).stem in keys])


Days = Mapping[Day, Collection[int]]
"""Days, with the schemas of the folders where their files may be."""
Listing = dict[Day, Found]
OUTDATED = "was written by an earlier version of nerbench after a compaction by this one; upgrade every worker"


def is_key(name: str) -> bool:
    """Whether a run's file may have this name; no packed file can have it."""
    return not _PUBLISHED.fullmatch(name)


def find_days(root: Root, table: str, date: str | None = None) -> Days:
    """The days of a table, or those of one date, from the names of the folders alone; a day may turn out to be empty.

    The cost depends on the number of days, however many files each of them has.
    """
    schemas = {VERSION, *(int(match[1]) for path in root.folders(table) if (match := _SCHEMA.fullmatch(path)))}
    found: defaultdict[Day, set[int]] = defaultdict(set)
    for number in sorted(schemas):
        tops = (f"{table}/schema={number}", _hidden(table, number))
        for path in (path for top in tops for path in root.folders(top)) if date is None else [f"/date={date}"]:
            name = path.rpartition("/date=")[2]
            if name != path:
                found[Day(table, written_as(number), name)].add(number)
    return dict(sorted(found.items()))


def list_days(root: Root, days: Days) -> Listing:
    """The files of some days, each listed for itself."""

    def of_day(item: tuple[Day, Collection[int]]) -> Found:
        return _list_day(root, *item)

    return dict(zip(days, in_parallel(of_day, days.items(), root.at_once), strict=True))


def list_table(root: Root, table: str) -> Listing:
    """All files of a table, by day."""
    return list_days(root, find_days(root, table))


def _list_day(root: Root, day: Day, schemas: Collection[int]) -> Found:
    """Manifests are listed after the files of runs. Therefore, a manifest covers everything that a compaction deleted
    before the listing: no row is missed or read twice.
    """
    numbers = sorted({*schemas, day.schema})  # a compaction may write in the current schema only now
    paths = [path for number in numbers for path in root.files(f"{day.table}/schema={number}/date={day.date}")]
    hidden = (path for number in numbers for path in root.files(f"{_hidden(day.table, number)}/date={day.date}"))
    return listed(paths, hidden).get(day) or Found()


def _hidden(table: str, schema: int) -> str:
    return f"_compacted/{table}/schema={schema}" if schema > 1 else f"{table}/schema={schema}/_compacted"


def listed(paths: Iterable[str], hidden: Iterable[str]) -> Listing:
    """The files by day; `paths` are of files of runs and published files, `hidden` of packed files and manifests."""
    listing: defaultdict[Day, Found] = defaultdict(Found)
    for path in paths:
        if match := _WRITTEN.fullmatch(path):
            day = Day(match[1], written_as(int(match[2])), match[3])
            found = listing[day]
            if not (_is_date(match[3]) and KEY.fullmatch(match[4])):
                found.odd.append(path)
            elif number := _PUBLISHED.fullmatch(match[4]):
                found.published[int(match[2]), int(number[1])] = path
            elif match[4] not in found.written or path.startswith(day.folder):
                found.written[match[4]] = path
    for path in hidden:
        if match := _HIDDEN.fullmatch(path):
            found = listing[Day(match[1], written_as(int(match[2])), match[3])]
            version = int(match[2]), int(match[4])
            if match[5] == ".json":
                found.manifests[version] = path
            else:
                found.packed[path] = version
    return dict(sorted(listing.items()))


def _is_date(text: str) -> bool:
    try:
        return calendar_date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def valid_compaction(root: Root, found: Found) -> Compaction | None:
    """The newest manifest of a day.

    Raises FileNotFoundError if a newer one has replaced it in the meantime, and CorruptArtifactError if it is invalid.
    """
    return _compaction(root, found.manifests[max(found.manifests)]) if found.manifests else None


def _compaction(root: Root, path: str) -> Compaction:
    try:
        return Compaction.model_validate_json(root.read_record(path, MAX_MANIFEST_BYTES))
    except FileNotFoundError:
        raise
    except ValidationError as error:
        first = error.errors()[0]["msg"]
        raise CorruptArtifactError(f"{root.uri(path)} is not a manifest of a compaction: {first}") from error
    except (OSError, InputError) as error:
        raise CorruptArtifactError(f"{root.uri(path)} cannot be read: {error}") from error


def packed_path(day: Day, found: Found, version: Version, compaction: Compaction) -> str:
    """The path of the packed file, published or not."""
    return found.published.get(version, f"{day._replace(schema=version[0]).hidden}/{compaction.live}")


class PackedDay(NamedTuple):
    """The packed file of a day and its manifest."""

    path: str
    compaction: Compaction

    def find(self, key: str) -> Packed | None:
        """The packed rows of a small file."""
        return next((Packed(self.path, entry) for entry in self.compaction.replaced if entry.key == key), None)


def packed_day(root: Root, day: Day, found: Found) -> PackedDay | None:
    """The packed file of a listed day. Raises like `valid_compaction`."""
    compaction = valid_compaction(root, found)
    if compaction is None:
        return None
    return PackedDay(packed_path(day, found, max(found.manifests), compaction), compaction)


def find_packed_day(root: Root, day: Day) -> PackedDay | None:
    """Like `packed_day`, at the cost of one listing if nothing was compacted."""
    found = listed((), root.files(day.hidden)).get(day)
    if found is None:
        return None
    version = max(found.manifests, default=(day.schema, 0))
    if root.exists(published := day.published(version[1])):
        found.published = {version: published}
    return packed_day(root, day, found)


def live_files(root: Root, listing: Listing, *, last: bool) -> list[Live]:
    """The files of each day that together hold every row once.

    `last`: whether a listed manifest that is missing counts as damaged; otherwise, it raises FileNotFoundError.
    """

    def of_day(item: tuple[Day, Found]) -> Live:
        return _live(root, *item, last=last)

    return in_parallel(of_day, listing.items(), root.at_once)


def _live(root: Root, day: Day, found: Found, *, last: bool) -> Live:
    """Without its manifest, a published packed file holds all known rows; otherwise, nothing has been deleted."""
    problems = {f"{root.url}/{path}": "has no name that the file of a run can have" for path in found.odd}
    problems |= {root.uri(path): OUTDATED for path in found.outdated}
    for version in sorted(found.manifests, reverse=True):
        if version in found.published and not found.written:
            return Live(found.published[version], [], [], problems)
        path = found.manifests[version]
        try:
            compaction = _compaction(root, path)
        except FileNotFoundError:
            if not last:
                raise
            problems[root.uri(path)] = "is listed, but cannot be read"
        except CorruptArtifactError as error:
            problems[root.uri(path)] = str(error)
        else:
            later = found.later(compaction).values()
            replaced = [path for path in found.written.values() if path not in later]
            return Live(packed_path(day, found, version, compaction), list(later), replaced, problems)
        if version in found.published:
            return Live(found.published[version], [], list(found.written.values()), problems)
    return Live(None, list(found.written.values()), [], problems)


def retry_if_compacted(look: Callable[[], Item], act: Callable[[Item, bool], Result]) -> Result:
    """`act(look(), False)`, repeated if a file is missing because it was compacted in the meantime. The last attempt
    gets True.

    Raises CorruptArtifactError if the file stays missing.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return act(look(), False)
        except FileNotFoundError:
            continue
    try:
        return act(look(), True)
    except FileNotFoundError as error:
        raise CorruptArtifactError(f"a file of the result tables is gone: {error}") from error
