"""Matches the labels of a model with the entity types of a corpus by name, in any order and tag scheme."""

import re
from collections.abc import Collection, Iterable, Sequence

from nerbench.artifacts.errors import CorpusError, LabelError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.tasks.config import BenchmarkConfig, DatasetConfig
from nerbench.tasks.data.tag_schemes import (
    BEGINNING,
    CONTINUING,
    OUTSIDE,
    Tag,
    TagReading,
    entity_types,
    read_tags,
    split_tag,
)

_NAMELESS = re.compile(r"LABEL_\d+")


def check_named_types(config: DatasetConfig, tags: Iterable[Tag | None]) -> None:
    """Raise CorpusError if `label_map` or `ignore_labels` of a data set names a type that none of its tags has."""
    types = sorted({tag.type for tag in tags if tag and tag.type})
    for field, names in (("label_map", config.label_map), ("ignore_labels", config.ignore_labels)):
        if unknown := sorted(set(names) - set(types)):
            problem = f"{config.name} has no entity type {', '.join(unknown)}"
            raise CorpusError(f"dataset {config.name}: {field}", problem, f"its types are {', '.join(types) or 'none'}")


def check_labels(artifact: ArtifactRef, types: Collection[str], benchmark: BenchmarkConfig) -> None:
    """Check the labels in the manifest or `config.json` of an artifact without loading it. Raises LabelError."""
    match_labels(artifact, artifact.labels, types, benchmark)


def match_labels(
    artifact: ArtifactRef, labels: Sequence[str], types: Collection[str], benchmark: BenchmarkConfig
) -> TagReading:
    """The meaning of a model's outputs in a corpus, which has the entity types `types` in all its splits.

    A model may lack types of the corpus. Raises like `read_labels`, and LabelError if the model has types, after
    renaming, that the corpus lacks.
    """
    reading = read_labels(artifact, labels, benchmark)
    _check_types(artifact.name, set(entity_types(reading.tags.values())), set(types))
    return reading


def read_labels(artifact: ArtifactRef, labels: Sequence[str], benchmark: BenchmarkConfig) -> TagReading:
    """The meaning of a model's outputs.

    Letters of BIOES and BILOU are read one by one: `S-` and `U-` as `B-`, `E-` and `L-` as `I-`. If a type has no
    label that begins an entity, as in IOB1 and IO (`I-PER`, or the bare `PER`), an `I-` that does not continue an
    entity begins one.

    Args:
        artifact: the model, whose manifest may rename types.
        labels: the model's labels by output index (`id2label`).
        benchmark: the keys `labels_of`, `label_map`, `label_map_of` and `ignore_labels`. They apply to several models,
            so they may name types that this model lacks. `ignore_labels` may name whole labels without a letter, such
            as `X`.

    Raises LabelError if labels have no names or are not tags.
    """
    model = artifact.name
    label_map = {**benchmark.label_map, **artifact.label_map, **benchmark.label_map_of.get(model, {})}
    ignored = frozenset((*benchmark.ignore_labels, *(kind for kind, name in label_map.items() if name == OUTSIDE)))
    names = _named(model, labels, benchmark.labels_of.get(model))
    tags = dict(zip(labels, _split(model, names, ignored), strict=True)) | {OUTSIDE: Tag(OUTSIDE, "")}
    return read_tags(
        tags,
        inside_begins=_lacks_a_beginning(tag for tag in tags.values() if tag.type not in ignored),
        label_map=label_map,
        ignore_labels=ignored,
    )


def _named(model: str, labels: Sequence[str], declared: Sequence[str] | None) -> Sequence[str]:
    nameless = [label for label in labels if _NAMELESS.fullmatch(label)]
    if declared is not None:
        field = f"benchmark.labels_of.{model}"
        if len(nameless) < len(labels):
            problem = f"the model itself names its outputs {_listed(labels)}"
            raise LabelError(field, problem, "rename types in benchmark.label_map instead")
        if len(declared) != len(labels):
            problem = f"{len(declared)} tags are declared for the {len(labels)} outputs of the model"
            raise LabelError(field, problem, "list one for each, in their order")
        return declared
    if nameless:
        raise LabelError(
            f"model {model}",
            f"its label {nameless[0]} names no tag",
            f"list what its {len(labels)} outputs mean, in their order, in benchmark.labels_of "
            f"(e.g. {{{model}: [O, B-PER, I-PER]}}), or publish it with id2label in its config.json",
        )
    return labels


def _split(model: str, names: Sequence[str], ignored: Collection[str]) -> list[Tag]:
    """Letter and type of each label: either all are bare types (IO), or none is."""
    split = [split_tag(OUTSIDE if name in ignored else name, "auto") for name in names]
    if not any(tag and tag.type for tag in split):
        split = [tag or split_tag(name, "io") for tag, name in zip(split, names, strict=True)]
    if strange := [name for tag, name in zip(split, names, strict=True) if tag is None]:
        raise LabelError(
            f"model {model}",
            f"its labels {', '.join(map(repr, strange))} are neither O nor B-TYPE, I-TYPE or the like",
            "list what means no entity in benchmark.ignore_labels",
        )
    return [tag for tag in split if tag]


def _lacks_a_beginning(tags: Iterable[Tag]) -> bool:
    found = set(tags)
    begun = {tag.type for tag in found if tag.letter in BEGINNING}
    return any(tag.letter in CONTINUING and tag.type not in begun for tag in found)


def _check_types(model: str, its: set[str], corpus: set[str]) -> None:
    unknown = sorted(its - corpus)
    if not unknown:
        return
    alike = {kind: name for kind in unknown if (name := next((one for one in sorted(corpus) if _alike(kind, one)), ""))}
    others = [kind for kind in unknown if kind not in alike]
    remedies = []
    if alike:
        mapping = ", ".join(f"{kind}: {name}" for kind, name in alike.items())
        remedies.append(f"write label_map: {{{mapping}}} below benchmark if they mean the same")
    if others:
        free = sorted(corpus - its - {*alike.values()})
        example = f" (e.g. {{{others[0]}: {free[0]}}})" if free else ""
        remedies.append(
            f"list {_listed(others)} in benchmark.ignore_labels, or rename them in benchmark.label_map{example}"
        )
    problem = f"its types are {_listed(sorted(its))}, the corpus's are {_listed(sorted(corpus))}"
    raise LabelError(f"model {model}", problem, "; ".join(remedies))


def _alike(one: str, other: str) -> bool:
    """Whether two names may mean one type: one is a prefix of the other, regardless of case."""
    short, long = sorted((one.casefold(), other.casefold()), key=len)
    return len(short) > 1 and long.startswith(short)


def _listed(types: Sequence[str]) -> str:
    return ", ".join(types) or "none"
