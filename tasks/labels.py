"""Tags and entity types, compared by name: `B-PER` begins a `PER`, `I-PER` continues it, `O` is no entity.

A type is any text, dashes included: `B-LOC-deriv` is a tag of the type `LOC-deriv`.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from artifacts.errors import LabelError

OUTSIDE = "O"
_TAG = re.compile(r"O|[BI]-\S(?:.*\S)?")
_NAMELESS = re.compile(r"LABEL_\d+")


def is_tag(text: str) -> bool:
    """Whether `text` is `O`, `B-TYPE` or `I-TYPE`."""
    return _TAG.fullmatch(text) is not None


def type_of(tag: str) -> str | None:
    """The entity type of a tag; None for `O`."""
    return None if tag == OUTSIDE else tag[2:]


def entity_types(tags: Iterable[str]) -> list[str]:
    """The entity types among `tags`, sorted."""
    return sorted({tag[2:] for tag in set(tags) if tag != OUTSIDE})


def tag_vocabulary(types: Iterable[str]) -> list[str]:
    """`['O', 'B-LOC', 'I-LOC', …]`: the tags of `types`, ordered by type; the label order of models trained here."""
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in sorted(set(types)) for prefix in "BI")]


def rename_tag(tag: str, label_map: Mapping[str, str], ignore_labels: Collection[str]) -> str:
    """The tag with its type renamed by `label_map`; `O` where its type, as it was, is one of `ignore_labels`."""
    kind = type_of(tag)
    if kind is None or kind in ignore_labels:
        return OUTSIDE
    return f"{tag[:2]}{label_map.get(kind, kind)}"


def match_labels(
    model_labels: Sequence[str],
    gold_types: Collection[str],
    label_map: Mapping[str, str],
    ignore_labels: Collection[str],
) -> list[str]:
    """The corpus's tag that each model output stands for, whatever the order of the model's labels.

    Args:
        model_labels: the model's labels by output index (`id2label`).
        gold_types: the corpus's entity types, over all its splits.
        label_map: model types renamed to the corpus's; serving several models, it may name types that one lacks.
        ignore_labels: model types, or whole labels without a prefix (`X`), that are read as `O`.

    Raises:
        LabelError: a label is no tag, or the two sets of types differ after renaming.
    """
    if nameless := [label for label in model_labels if _NAMELESS.fullmatch(label)]:
        raise LabelError(
            "model labels",
            f"{nameless[0]} names no tag",
            "set id2label (and label2id) in the model's config.json to the tags it was trained on, in their order",
        )
    known = [OUTSIDE if label in ignore_labels else label for label in model_labels]
    if strange := [label for label in known if not is_tag(label)]:
        raise LabelError(
            "model labels",
            f"{', '.join(map(repr, strange))} {'is' if len(strange) == 1 else 'are'} neither O nor B-TYPE nor I-TYPE",
            "list what means no entity in benchmark.ignore_labels; other schemes, such as BIOES, are not read yet",
        )
    tags = [rename_tag(label, label_map, ignore_labels) for label in known]
    _check_same_types(set(entity_types(tags)), set(gold_types))
    return tags


def _check_same_types(model: set[str], corpus: set[str]) -> None:
    remedies = []
    if unknown := sorted(model - corpus):
        remedies.append(
            f"rename {_listed(unknown)} in benchmark.label_map (e.g. {{{unknown[0]}: {min(corpus, default='PER')}}}) "
            "or list them in benchmark.ignore_labels"
        )
    if missing := sorted(corpus - model):
        remedies.append(
            f"rename a type of the model to {_listed(missing)}, or list them in the data set's ignore_labels"
        )
    if remedies:
        problem = f"the model's types are {_listed(sorted(model))}, the corpus's are {_listed(sorted(corpus))}"
        raise LabelError("model labels", problem, "; ".join(remedies))


def _listed(types: Sequence[str]) -> str:
    return ", ".join(types) or "none"
