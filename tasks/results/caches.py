"""Lists and prunes two caches: models and tokenized corpora on this machine, predictions and counts beside the results.

An entry beside the results counts as in use for a day after its last use. A run whose entry was removed infers again.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from nerbench.artifacts.cache_pruning import (
    GRACE,
    Entry,
    Limits,
    local_models,
    remove_local,
    surplus,
    tokenized_corpora,
)
from nerbench.artifacts.local_copies import cache_folder
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.tasks.config.schema_run import CacheConfig
from nerbench.tasks.runs import utc_now

log = logging.getLogger(__name__)

_FOLDER = ".cache"
_KEPT = re.compile(
    r"(?P<evaluations>\.cache/evaluations/[0-9a-f]{64})/(?:shards/\d+-\d+/)?(?:record\.json|[0-9a-f]{64}\.parquet|\.lock\.tmp)"
    r"|(?P<counts>\.cache/counts/[0-9a-f]{64}\.parquet)"
)
"""Every path of an evaluation or a count; the group is the entry's name."""


class Cache(NamedTuple):
    """A cache with its own limits."""

    entries: list[Entry]
    remove: Callable[[Entry], bool]
    """Removes an entry, unless it was used since the listing. Returns whether it was removed."""


def find_caches(results: str) -> list[Cache]:
    """The cache on this machine and the cache beside these results."""
    now, local, root = utc_now(), cache_folder(), open_root(results)
    return [
        Cache([*local_models(local, now), *tokenized_corpora(local, now)], partial(remove_local, local)),
        Cache(_beside_results(root, now), partial(_remove, root)),
    ]


def prune(results: str, limits: Limits, *, dry_run: bool = False) -> list[Entry]:
    """Remove what exceeds the limits of each cache, or only find it. Returns the entries."""
    found = [(cache, entry) for cache in find_caches(results) for entry in surplus(cache.entries, limits, utc_now())]
    return [entry for cache, entry in found if dry_run or cache.remove(entry)]


def prune_after_run(results: str, config: CacheConfig) -> str | None:
    """Prune the caches if there are limits, and return one line about removed entries. Failures are only logged."""
    if config.limits == Limits(None, None):
        return None
    try:
        gone = prune(results, config.limits)
    except Exception as error:  # the run itself is complete
        log.warning("the caches are not pruned: %s", " ".join(f"{type(error).__name__}: {error}".split()))
        return None
    return summary(gone) if gone else None


def summary(gone: list[Entry]) -> str:
    """One line."""
    return f"pruned {count(gone)}"


def count(entries: list[Entry]) -> str:
    """`2 cache entries, 1.5 MB`."""
    noun = "entry" if len(entries) == 1 else "entries"
    return f"{len(entries)} cache {noun}, {sum(entry.bytes for entry in entries) / 1e6:.1f} MB"


def _beside_results(root: Root, now: datetime) -> list[Entry]:
    if "://" not in root.url and _is_linked(Path(root.url)):
        log.warning("%s is a symbolic link, so its target is not pruned", Path(root.url) / _FOLDER)
        return []
    files = defaultdict[tuple[str, str], list[str]](list)
    for path in root.inventory(_FOLDER).files:
        if kept := _KEPT.fullmatch(path):
            kind = kept.lastgroup or ""
            files[kind, kept[kind]].append(path)
    entries = (_entry(root, kind, name, paths, now) for (kind, name), paths in files.items())
    return [entry for entry in entries if entry]


def _is_linked(results: Path) -> bool:
    return any((results / _FOLDER / kind).is_symlink() for kind in ("", "evaluations", "counts"))


def _entry(root: Root, kind: str, name: str, paths: list[str], now: datetime) -> Entry | None:
    try:
        size = sum(map(root.size, paths))
        used = max(map(root.modified, paths))
    except FileNotFoundError:  # replaced or pruned in the meantime
        return None
    # Records first: a reader then finds either a record with its predictions, or no record.
    paths = sorted(paths, key=lambda path: (not path.endswith(".json"), path))
    return Entry(kind, name, size, used, now - used < GRACE, tuple(paths))


def _remove(root: Root, entry: Entry) -> bool:
    try:
        if max(map(root.modified, entry.paths)) != entry.used:
            return False
    except FileNotFoundError:
        return False
    for path in entry.paths:
        root.delete(path)
    if "://" not in root.url:
        _remove_empty(Path(root.url), entry)
    return True


def _remove_empty(results: Path, entry: Entry) -> None:
    """Remove the empty folders of an entry, deepest first."""
    folders = {parent for path in entry.paths for parent in Path(path).parents if entry.name in parent.as_posix()}
    for folder in sorted(folders, reverse=True):
        with suppress(OSError):
            (results / folder).rmdir()
