"""From words to windows of tokens and back: words are never joined, split or dropped.

Models of a run with the same tokenizer share the tokenized blocks of a corpus.

A sentence that does not fit the model's window becomes several overlapping windows. Each of its words is predicted
once, from the window with the most context on the side of the word that has less. A word without tokens is in no
window.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from nerbench.artifacts.errors import RunFailedError, pass_interrupts
from nerbench.tasks.config.user_code import explain

if TYPE_CHECKING:
    from tokenizers import Tokenizer


WORDS_A_TEXT = 64
"""Words that a tokenizer gets at once: enough to make the overhead of calls negligible, few enough to use its
threads."""


class SpecialTokens(NamedTuple):
    """The ids that the model expects before and after the tokens of a text, and the padding id."""

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    pad: int

    def room(self, window: int) -> int:
        """The number of tokens of a text that fit into a window. Raises ValueError if none does."""
        if (room := window - len(self.prefix) - len(self.suffix)) < 1:
            raise ValueError(f"a window of {window} tokens has no room for a word")
        return room


class Pieces(NamedTuple):
    """A tokenized sentence: token ids, and for each word the range of its tokens (empty for a word without tokens)."""

    ids: list[int]
    starts: list[int]
    ends: list[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Model input of one window, including special tokens, and the words that it predicts."""

    ids: list[int]
    sentence: int
    words: list[int]
    """Positions in the sentence of the words that this window predicts."""
    starts: list[int]
    """For each of `words`, the position in `ids` of its first token."""
    ends: list[int]
    """For each of `words`, the position in `ids` after its last token."""


def tokenize(tokenizer: "Tokenizer", sentences: Sequence[Sequence[str]]) -> list[Pieces]:
    """Tokenize sentences given as words, without special tokens, truncation or padding.

    The tokenizer processes each word separately, so that equal words are tokenized once.
    """
    number_of: dict[str, int] = {}
    numbers = [[number_of.setdefault(word, len(number_of)) for word in words] for words in sentences]
    ids_of = _ids_of_words(tokenizer, list(number_of))
    return [_joined([ids_of[number] for number in words]) for words in numbers]


def _ids_of_words(tokenizer: "Tokenizer", words: list[str]) -> list[list[int]]:
    """The tokens of each word; none for a word that the tokenizer drops. Raises RunFailedError if the tokenizer
    fails."""
    # The tokenizer silently drops empty words from a batch of strings, but keeps their index: no word is moved.
    texts = [words[start : start + WORDS_A_TEXT] for start in range(0, len(words), WORDS_A_TEXT)]
    found: list[list[int]] = []
    try:
        encodings = tokenizer.encode_batch(texts, is_pretokenized=True, add_special_tokens=False)
    except BaseException as error:  # a pattern that matches too slowly causes a panic
        pass_interrupts(error)
        raise RunFailedError(f"the tokenizer failed ({explain(error)})") from error
    for encoding in encodings:
        of_text: list[list[int]] = [[] for _ in texts[len(found) // WORDS_A_TEXT]]
        for token, word in zip(encoding.ids, encoding.word_ids, strict=True):
            if word is not None:
                of_text[word].append(token)
        found += of_text
    return found


def _joined(words: Sequence[list[int]]) -> Pieces:
    """The sentence of words with these tokens."""
    ids: list[int] = []
    starts, ends = [], []
    for of_word in words:
        starts.append(len(ids))
        ids += of_word
        ends.append(len(ids))
    return Pieces(ids, starts, ends)


def windows(pieces: Sequence[Pieces], window: int, special: SpecialTokens) -> list[Window]:
    """Cut tokenized sentences into windows of at most `window` tokens, including special tokens."""
    capacity = special.room(window)
    cut: list[Window] = []
    for sentence, item in enumerate(pieces):
        kept = [w for w, (start, end) in enumerate(zip(item.starts, item.ends, strict=True)) if end > start]
        if not kept:
            continue
        if len(item.ids) <= capacity:
            cut.append(_window(sentence, item, range(len(item.ids)), kept, special))
            continue
        spans = _spans(item, kept, capacity)
        for span, owned in zip(spans, _owned(item, kept, spans), strict=True):
            if owned:
                first = item.starts[kept[span[0]]]
                shown = range(first, min(item.ends[kept[span[-1]]], first + capacity))
                cut.append(_window(sentence, item, shown, owned, special))
    return cut


def truncated_words(pieces: Sequence[Pieces], window: int, special: SpecialTokens) -> int:
    """The number of words longer than a whole window, of which the model only sees the first tokens."""
    capacity = special.room(window)
    return sum(end - start > capacity for item in pieces for start, end in zip(item.starts, item.ends, strict=True))


def _spans(item: Pieces, kept: list[int], capacity: int) -> list[range]:
    """Overlapping runs of `kept` that fit, each half a window after the previous one; the last one ends at the end."""
    sizes = [min(item.ends[w] - item.starts[w], capacity) for w in kept]
    last = len(kept)
    tail, room = last, capacity
    while tail > 0 and sizes[tail - 1] <= room:
        tail -= 1
        room -= sizes[tail]
    spans, start = [], 0
    while start < tail:
        end, used = start, 0
        while end < last and used + sizes[end] <= capacity:
            used += sizes[end]
            end += 1
        spans.append(range(start, end))
        step = 0
        while start < end and (step == 0 or step + sizes[start] <= capacity // 2):
            step += sizes[start]
            start += 1
    return [*spans, range(tail, last)]


def _owned(item: Pieces, kept: list[int], spans: list[range]) -> list[list[int]]:
    """For each span, the words with the most context there, by the number of tokens on the side with fewer.

    The beginning and end of the sentence do not count as missing context. The earlier span gets words with equal
    context.
    """
    best: list[tuple[float, int]] = [(-1.0, 0)] * len(kept)
    for number, span in enumerate(spans):
        left_edge = item.starts[kept[span[0]]]
        right_edge = item.ends[kept[span[-1]]]
        for i in span:
            left = float("inf") if span[0] == 0 else item.starts[kept[i]] - left_edge
            right = float("inf") if span[-1] == len(kept) - 1 else right_edge - item.ends[kept[i]]
            if (context := min(left, right)) > best[i][0]:
                best[i] = (context, number)
    owned: list[list[int]] = [[] for _ in spans]
    for i, (_, number) in enumerate(best):
        owned[number].append(kept[i])
    return owned


def _window(sentence: int, item: Pieces, shown: range, owned: list[int], special: SpecialTokens) -> Window:
    """The window of the tokens in `shown`."""
    shift = len(special.prefix) - shown.start
    ends = [item.ends[w] + shift for w in owned]
    ends[-1] = min(ends[-1], shown.stop + shift)  # of a word longer than a window, which has its own window
    return Window(
        ids=[*special.prefix, *item.ids[shown.start : shown.stop], *special.suffix],
        sentence=sentence,
        words=owned,
        starts=[item.starts[w] + shift for w in owned],
        ends=ends,
    )


KEPT_TOKENS = 1 << 17
"""Maximum number of tokens in the blocks that are kept, about 10 MB. A larger corpus is tokenized for each model."""


class _Block(NamedTuple):
    pieces: list[Pieces]
    n_ids: int


_kept: OrderedDict[str, _Block] = OrderedDict()
_lock = Lock()


def tokenize_once(tokenizer: "Tokenizer", sentences: Sequence[Sequence[str]]) -> list[Pieces]:
    """Like `tokenize`, with results kept for the next tokenizer with the same definition. Do not change the results."""
    words = json.dumps(sentences, ensure_ascii=False, separators=(",", ":"))
    key = hashlib.sha256(f"{_digest(tokenizer)}{words}".encode()).hexdigest()
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key].pieces
    pieces = tokenize(tokenizer, sentences)
    with _lock:
        _kept[key] = _Block(pieces, sum(len(one.ids) for one in pieces))
        while sum(block.n_ids for block in _kept.values()) > KEPT_TOKENS:
            _kept.popitem(last=False)
    return pieces


@lru_cache(maxsize=4)
def _digest(tokenizer: "Tokenizer") -> str:
    return hashlib.sha256(tokenizer.to_str().encode()).hexdigest()
