"""Publishes a model from elsewhere: a folder, a folder at a URL, or a model of the Hub."""

import re
from collections import Counter
from pathlib import Path

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.manifest import ArtifactRef, Golden
from nerbench.artifacts.references import load_manifest, materialise, resolve
from nerbench.artifacts.store import Store

_PLACEHOLDER = re.compile(r"LABEL_\d+")


def import_model(location: str, name: str, store: Store, *, check: bool = True) -> ArtifactRef:
    """Publish the model at `location`, which must name its labels. Its manifest records where it comes from.

    With `check`, the model is loaded once, on the CPU. This proves that its weights are complete and its tokenizer
    fits, and gives the logits that later loads are compared with. Raises InputError, UnsafeArtifactError and
    CorruptArtifactError.
    """
    found = resolve(location if "/" in location else f"./{location}", store.url)
    if len(found) != 1:
        raise InputError(f"model {location!r}", f"means {len(found)} models", "name one of them")
    ref = found[0]
    check_labels(ref.labels, location)
    manifest = load_manifest(ref)
    folder = materialise(ref)
    golden = _load(folder, name) if check else manifest.golden
    provenance = manifest.provenance
    if provenance.created_at is not None:
        provenance = provenance.model_copy(update={"created_at": None})
    return store.publish(folder, name, provenance, golden)


def check_labels(labels: tuple[str, ...], location: str) -> None:
    """Raise InputError if labels have no meaningful names, because such a model cannot be scored."""
    where = f"labels of {location}"
    remedy = 'write their names into its config.json: "id2label": {"0": "O", "1": "B-PER", …}'
    if not labels:
        raise InputError(where, "are not named", remedy)
    if unnamed := [label for label in labels if _PLACEHOLDER.fullmatch(label) or not label.strip()]:
        raise InputError(where, f"{unnamed[0]!r} is not a meaningful name", remedy)
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise InputError(where, f"{twice[0]!r} is there twice", remedy)


def _load(folder: Path, name: str) -> Golden:
    from nerbench.tasks.inference.golden_check import record
    from nerbench.tasks.inference.loading import load_tagger, resolve_device

    return record(load_tagger(folder, device=resolve_device("cpu"), name=name))
