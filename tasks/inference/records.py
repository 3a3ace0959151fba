"""Kept predictions: a Parquet file under its own digest, and beside it a record, which is checked whenever it is used.

The record is written last and replaced as a whole, so that duplicate work is harmless and a torn file is never seen.
"""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from nerbench.artifacts.digests import canonical_json
from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.manifest import Digest
from nerbench.artifacts.storage.filesystem import Root
from nerbench.tasks.config import Section
from nerbench.tasks.runs import utc_now

log = logging.getLogger(__name__)

RENEW = timedelta(hours=12)
"""A record that is used when it is older is written again, which marks its use: pruning spares what is younger."""
_MAX_BYTES = 1 << 20
State = Literal["cached", "missing", "altered", "refresh"]
"""`cached`: intact predictions exist; otherwise why there will be inference."""


class EvaluationRecord(Section):
    """A finished evaluation, or a finished shard of one: where its predictions lie, and their digest."""

    key: str
    """Of the evaluation."""
    first: int | None = None
    """The first block of a shard, from 0; None, as `stop`, for the whole evaluation, whose file does not have them."""
    stop: int | None = None
    """The block after the last one of a shard."""
    predictions_digest: str
    sha256: Digest
    """Of the predictions file: Parquet with document, sentence, word, pred, score."""
    labels: tuple[str, ...]
    """The model's label names by output index."""
    words: int
    truncated: int
    """Words longer than a whole window, judged by their first pieces."""
    vanished: int
    """Words without any piece, predicted `O`."""
    ignored_keys: tuple[str, ...]
    """Weights of the file that the architecture does not use."""
    evaluate_s: float
    """Seconds from words in memory to tags in memory, the model loaded."""

    @property
    def folder(self) -> str:
        """Where record and predictions lie, below the results."""
        return evaluation_folder(self.key) if self.first is None else shard_folder(self.key, self.first, self.stop)

    @property
    def path(self) -> str:
        """Where the predictions lie, below the results."""
        return f"{self.folder}/{self.sha256}.parquet"


def evaluation_folder(key: str) -> str:
    """Where everything about one evaluation lies, below the results."""
    return f".cache/evaluations/{key}"


def shard_folder(key: str, first: int, stop: int | None) -> str:
    """Where a shard of an evaluation lies, below the results."""
    return f"{evaluation_folder(key)}/shards/{first}-{stop}"


def keep(root: Root, record: EvaluationRecord, predictions: Path) -> None:
    """Keep predictions, then their record."""
    root.upload(predictions, record.path, record.sha256)
    root.replace(f"{record.folder}/record.json", canonical_json(record.model_dump(mode="json", exclude_none=True)))


def look_up(root: Root, folder: str, name: str) -> tuple[State, EvaluationRecord | None]:
    """Whether a folder holds a record and its intact predictions, and the record; reports damage with `name`.

    Raises InputError where access is refused, and StoreUnreachableError where there is no answer: neither says that
    there is no record, or a damaged one.
    """
    path = f"{folder}/record.json"
    try:
        record = EvaluationRecord.model_validate_json(data := root.read_record(path, _MAX_BYTES))
    except FileNotFoundError:
        return "missing", None
    except (ValidationError, CorruptArtifactError):
        log.warning("%s: its record %s is damaged; inferring again", name, root.uri(path))
        return "altered", None
    try:
        if utc_now() - root.modified(path) > RENEW:  # before the check: what is pruned until then is noticed there
            root.replace(path, data)
        intact = record.folder == folder and root.sha256(record.path) == record.sha256
    except FileNotFoundError:
        intact = False
    if not intact:
        log.warning("%s: its cached predictions in %s are missing or altered; inferring again", name, root.uri(folder))
        return "altered", None
    return "cached", record
