"""Output of `nerbench artifacts`: models, lineage, differences and garbage."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from nerbench.flows.commands.terminal import print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nerbench.artifacts.difference import Difference
    from nerbench.artifacts.garbage import Garbage
    from nerbench.artifacts.header import Tensor
    from nerbench.artifacts.lineage import Generation
    from nerbench.artifacts.manifest import ArtifactRef, Manifest

Row = dict[str, Any]
_TOO_LONG = ("loss_curve",)


def weights_row(tensors: "Sequence[Tensor]") -> Row:
    """Tensor and parameter counts from the headers of the weight files."""
    parameters: Counter[str] = Counter()
    for tensor in tensors:
        parameters[tensor.dtype] += tensor.parameters
    return {"tensors": len(tensors), "parameters": parameters.total(), "parameters_by_dtype": dict(parameters)}


def print_artifact(ref: "ArtifactRef", manifest: "Manifest", weights: Row) -> None:
    """Identity, provenance, weights and files."""
    origin = manifest.provenance.model_dump(mode="json")
    facts = {"artifact": ref.artifact_id, "model": ref.model_sha256, "uri": ref.uri, "labels": manifest.labels}
    known = facts | weights | {key: value for key, value in origin.items() if key not in _TOO_LONG}
    _print_facts(ref.name, dict(_plain(known | {"corpora": [_corpus(one) for one in origin["corpora"]]})))
    print_table(entry.model_dump(mode="json") for entry in manifest.files)


def lineage_rows(generations: "Iterable[Generation]") -> list[Row]:
    """One row per model as plain JSON, with null for unknown values."""
    return [_generation(one) for one in generations]


def _generation(one: "Generation") -> Row:
    row: Row = {"name": one.name, "artifact_id": one.artifact_id, "revision": one.revision}
    if one.manifest is None:
        return row
    known = one.manifest.provenance.model_dump(mode="json")
    base = known["base_model"] or {}
    fields = ("created_at", "run_id", "seed", "train_s", "configuration_sha256", "corpora", "code", "hardware")
    return row | {"base_model": base.get("name")} | {field: known[field] for field in fields}


def print_lineage(rows: "Iterable[Row]") -> None:
    """Print one model after the other, each followed by the model it was trained from."""
    for row in rows:
        shown = row | {"corpora": [_corpus(corpus) for corpus in row.get("corpora", ())]}
        _print_facts(row["name"], dict(_plain(shown)))


def _print_facts(title: str, facts: Row) -> None:
    """What is known, one line each; as text, so that nothing is aligned as a column of numbers."""
    known = {key: value for key, value in facts.items() if value not in (None, "", (), [], {})}
    rows = (
        {"key": key, "value": value if isinstance(value, list | tuple) else str(value)} for key, value in known.items()
    )
    print_table(rows, title=title)


def _plain(row: Row) -> "Iterable[tuple[str, Any]]":
    """Mappings within a row as dotted keys, however deep."""
    for key, value in row.items():
        if isinstance(value, dict):
            yield from _plain({f"{key}.{name}": one for name, one in value.items()})
        elif key != "name":
            yield key, value


def _corpus(corpus: Row) -> str:
    files = "".join(f" {file['name']}" for file in corpus["files"])
    divided = f", divided: {corpus['divided']}" if corpus.get("divided") else ""
    return f"{corpus['dataset']} {corpus['split']}{files} (words {corpus['words_sha256'][:12]}{divided})"


def print_differences(found: "Iterable[Difference]", names: tuple[str, str]) -> None:
    """One row a difference, the two models side by side."""
    print_table(
        {"": one.section, "key": one.key, names[0]: _short(one.first), names[1]: _short(one.second)} for one in found
    )


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) == 64:
        return value[:12]
    return repr(value) if isinstance(value, float) else value


def print_garbage(found: "Iterable[Garbage]") -> None:
    """One row a file."""
    print_table({"kind": one.kind, "path": one.path, "MB": one.bytes / 1e6, "written": one.modified} for one in found)
