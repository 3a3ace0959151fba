"""Tokenized blocks of a corpus, shared by the models of a run that have the same tokenizer."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from nerbench.tasks.inference.alignment import Pieces, tokenize

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KEPT_PIECES = 1 << 17
"""Of the blocks that were used last, about 10 MB: a corpus beyond that is tokenized for each model."""


class _Block(NamedTuple):
    pieces: list[Pieces]
    n_ids: int


_kept: OrderedDict[str, _Block] = OrderedDict()
_lock = Lock()


def tokenize_once(tokenizer: "Tokenizer", sentences: Sequence[Sequence[str]]) -> list[Pieces]:
    """What `tokenize` gives, kept for the next tokenizer that is defined alike; not to be changed."""
    words = json.dumps(sentences, ensure_ascii=False, separators=(",", ":"))
    key = hashlib.sha256(f"{_digest(tokenizer)}{words}".encode()).hexdigest()
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key].pieces
    pieces = tokenize(tokenizer, sentences)
    with _lock:
        _kept[key] = _Block(pieces, sum(len(one.ids) for one in pieces))
        while sum(block.n_ids for block in _kept.values()) > KEPT_PIECES:
            _kept.popitem(last=False)
    return pieces


@lru_cache(maxsize=4)
def _digest(tokenizer: "Tokenizer") -> str:
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()
