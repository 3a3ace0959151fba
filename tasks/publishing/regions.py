"""What of a model card is the user's: everything outside our two marks, and metadata that we say nothing about."""

import re
from itertools import pairwise
from typing import Any, NamedTuple

from nerbench.artifacts.errors import ConfigError
from nerbench.tasks.configuration.yamlfile import parse_mapping

BEGIN = "<!-- nerbench:begin; what stands between these marks is written anew by every publication -->"
END = "<!-- nerbench:end -->"
# A mark has a line to itself, which text from data, being one line inside of others, can never have.
_MARK = re.compile(r"^<!-- nerbench:(begin|end)\b[^\n]*-->[ \t]*\r?$", re.MULTILINE)


class _Parts(NamedTuple):
    """A card, taken apart."""

    block: str
    """The metadata as it is written."""
    data: dict[str, Any]
    text: str


def merge(ours: str, existing: str | None) -> str:
    """A freshly rendered card, with what a user has added to the card that is there (None: there is none).

    Text outside the marks stays where it is; a card without both marks keeps all its text, and ours follows it. Keys
    of the metadata that ours lacks stay, and tags of both are kept. Metadata that is no mapping is replaced.
    """
    if not existing:
        return ours
    new, old = _read(ours), _read(existing)
    before, after = _outside(old.text)
    data = _joined(new.data, old.data)
    # What says the same already stays as its user wrote it, comments included.
    block = old.block if data == old.data else _written(data, [*old.data, *new.data])
    return f"---\n{block}\n---\n{before}{_marked(new.text)}{after}"


def _read(card: str) -> _Parts:
    """A card that anybody may have written."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    card = card.replace("\r\n", "\n").removeprefix("\ufeff")
    match = REGEX_YAML_BLOCK.search(card)
    if not match:
        return _Parts("", {}, card)
    try:
        data = parse_mapping(match.group(2), "README.md")
    except ConfigError:
        data = {}
    return _Parts(match.group(2), data, card[match.end() :])


def _written(data: dict[str, Any], order: list[str]) -> str:
    from huggingface_hub import CardData

    card = CardData()
    for key in dict.fromkeys(key for key in order if key in data):
        card[key] = data[key]
    return card.to_yaml()


def _joined(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    # An older `model-index` holds the scores of another model than this; the others mean something to the client.
    dropped = {*new, "model-index", "model_name", "eval_results", "ignore_metadata_errors"}
    kept = {str(key): value for key, value in old.items() if key not in dropped}
    tags = old.get("tags")
    further = [tag for tag in tags if isinstance(tag, str) and tag not in new["tags"]] if isinstance(tags, list) else []
    return new | {"tags": [*new["tags"], *further]} | kept


def _outside(text: str) -> tuple[str, str]:
    """The text before and after our part, which lies between the first two marks that are a pair; without others."""
    marks = list(_MARK.finditer(text))
    for begin, end in pairwise(marks):
        if (begin[1], end[1]) == ("begin", "end"):
            return _MARK.sub("", text[: begin.start()]), _MARK.sub("", text[end.end() :])
    return _MARK.sub("", text).rstrip() + "\n\n", "\n"


def _marked(text: str) -> str:
    begin, end = (next(mark for mark in _MARK.finditer(text) if mark[1] == which) for which in ("begin", "end"))
    return text[begin.start() : end.end()]
