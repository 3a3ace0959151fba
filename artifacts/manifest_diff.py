"""Lists the differences of two manifests: files, labels, origin, training, environment, metrics."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from nerbench.artifacts.digests import canonical_json
from nerbench.artifacts.manifest import Manifest

_SECTIONS = {
    "base_model": "base model",
    "corpora": "corpora",
    "training": "training",
    "configuration_sha256": "training",
    "seed": "training",
    "train_s": "training",
    "code": "code",
    "versions": "environment",
    "hardware": "environment",
    "metrics": "metrics",
}
"""The parts of the provenance to compare. Dates, runs and curves always differ."""


class Difference(NamedTuple):
    """One difference between two artifacts."""

    section: str
    """`files`, `labels`, `training`, `environment`, `metrics`, …"""
    key: str
    """A path, a label, or a dotted key."""
    first: Any
    """As plain JSON; None if the first artifact has nothing of that kind."""
    second: Any


def differences(first: Manifest, second: Manifest) -> list[Difference]:
    """All differences, section by section."""
    left, right = dict(_facts(first)), dict(_facts(second))
    sections = {section: None for section, _ in (*left, *right)}
    keys = {key: None for section in sections for key in (*left, *right) if key[0] == section}
    return [
        Difference(section, key, left.get((section, key)), right.get((section, key)))
        for section, key in keys
        if left.get((section, key)) != right.get((section, key))
    ]


def _facts(manifest: Manifest) -> Iterator[tuple[tuple[str, str], Any]]:
    """All facts to compare, by section and key."""
    for entry in manifest.files:
        yield ("files", entry.path), entry.sha256
    for number, label in enumerate(manifest.labels):
        yield ("labels", label), number
    for kind, source in (("tagger", manifest.tagger), ("imported", manifest.imported)):
        for key, one in _flat("", source.model_dump(mode="json") if source else {}):
            yield (kind, key), one
    for label, renamed in manifest.label_map.items():
        yield ("label map", label), renamed
    provenance = manifest.provenance.model_dump(mode="json")
    for field, section in _SECTIONS.items():
        value = provenance[field]
        if field == "corpora":
            value = {f"{corpus['dataset']} {corpus['split']}": corpus for corpus in value}
        for key, one in _flat(field if section == "training" and field != "training" else "", value):
            yield (section, key), one


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted keys."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _flat(f"{key}.{name}" if key else name, one)
    elif value is not None:
        yield key, value if isinstance(value, str | int | float) else canonical_json(value).decode()
