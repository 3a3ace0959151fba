"""The tables that are written once for the same predictions: `confusion`, `errors`, `calibration`."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import PurePosixPath

import pyarrow as pa

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.problems import report
from nerbench.artifacts.results.parquet import read_rows, with_declared
from nerbench.artifacts.results.schemas import schema
from nerbench.artifacts.storage.filesystem import Root
from nerbench.tasks.report.entries import Entry
from nerbench.tasks.results.predicted import predictions_key


class StoredTable:
    """One of these tables, listed once; a file of it is found by the predictions that it is about."""

    def __init__(self, results: str, table: str) -> None:
        self._root, self._table = Root.open(results), table

    @cached_property
    def _paths(self) -> dict[str, str]:
        paths = self._root.files(self._table, recursive=True)
        return {PurePosixPath(path).stem: path for path in paths if path.endswith(".parquet")}

    def rows(self, entry: Entry, columns: Sequence[str]) -> pa.Table:
        """These columns of what is about an entry; no rows where nothing was written, or its file is damaged.

        That is reported: see `nerbench.artifacts.problems`.
        """
        declared, wanted = schema(self._table), set(columns)
        is_known = entry.about["predictions_digest"] is not None
        path = self._paths.get(predictions_key(entry.about)) if is_known else None
        found = pa.table({}) if path is None else self._read(path, wanted)
        return with_declared(found, declared, wanted).select(list(columns))

    def _read(self, path: str, wanted: set[str]) -> pa.Table:
        try:
            return read_rows(self._root, path, wanted)
        except (CorruptArtifactError, FileNotFoundError) as error:
            report(self._root.uri(path), error)
            return pa.table({})
