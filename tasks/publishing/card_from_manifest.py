"""The sections of a model card that come from the manifest: description, training data and training."""

import json
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from nerbench.artifacts.manifest import ArtifactRef, Manifest
from nerbench.tasks.config import CardConfig, ModelConfig
from nerbench.tasks.config.descriptions import field_descriptions
from nerbench.tasks.data.tag_schemes import entity_types
from nerbench.tasks.publishing.card_evidence import Evidence
from nerbench.tasks.publishing.card_from_results import headlines, limitations, results, speed_and_memory
from nerbench.tasks.publishing.markdown_escaping import name, names, table, text

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

FACTS = {
    "steps": "Number of optimizer steps.",
    "pieces": "Sub-word tokens in all epochs.",
    "threads": "Threads for arithmetic.",
    "train_s": "Seconds of training.",
    "stopped_by": "The reason for ending early.",
    "resumed_from": "The step at which training resumed after an interruption.",
}
"""The meaning of values in `training` of a manifest that are not in the configuration."""
# Shown elsewhere (the base, without the publisher's paths), or about files rather than the model.
_NOT_SHOWN = frozenset(
    {"parameters", "base", "revision", "name", "dataset", "seeds", "checkpoint_s", "push_to_hub", "hub_model_id"}
)


def render(  # noqa: PLR0913, PLR0917 - the parts of a card
    artifact: ArtifactRef,
    manifest: Manifest,
    parameters: int,
    evidence: Evidence,
    about: "ModelCardData",
    card: CardConfig,
    repository: str | None,
) -> dict[str, Any]:
    """The values of the template, as Markdown."""
    model = repository or f"your-org/{artifact.name.rpartition('/')[2]}"
    types = _types(manifest.labels)
    return {
        "title": text(model.rpartition("/")[2]),
        "summary": f"A named-entity tagger: it assigns one of {len(manifest.labels)} tags to every word of a text, "
        f"to find mentions of the types {types}.",
        "headlines": headlines(evidence, manifest),
        "types": types,
        "description": _bullets(_description(manifest, parameters, about)),
        "model": model,
        "intended_uses": _paragraphs(card.intended_uses),
        "limitations": [*limitations(evidence), *map(_paragraphs, filter(None, (card.limitations, card.bias)))],
        "training_data": _training_data(manifest),
        "procedure": _procedure(manifest),
        "hyperparameters": _hyperparameters(manifest),
        "environment": _environment(manifest),
        "results": results(evidence),
        "speed": speed_and_memory(evidence),
        "origin": _origin(artifact, manifest, evidence),
    }


def _types(labels: Iterable[str]) -> str:
    return names(entity_types(labels)) or "that its tags name"


def _description(manifest: Manifest, parameters: int, about: "ModelCardData") -> list[str]:
    weights = sum(entry.size for entry in manifest.files if entry.path.endswith(".safetensors"))
    return [
        f"**Tags**, by their number: {names(manifest.labels)}",
        f"**Size**: {parameters:,} parameters, {weights / 1e6:,.1f} MB of weights (safetensors)",
        f"**Fine-tuned from**: {_base(manifest, about.get('base_model'))}",
        f"**Language**: {names(about.get('language') or ()) or 'not declared by the publisher'}",
        f"**Licence**: {_licence(about.get('license'))}",
    ]


def _base(manifest: Manifest, hub_id: str | None) -> str:
    base = manifest.provenance.base_model
    if _from_scratch(manifest):
        return "nothing: it started from random weights, and its tokenizer was trained on the same data"
    if base is None:
        return f"{name(hub_id)}, according to the publisher" if hub_id else "not recorded"
    sentence = (
        name(hub_id) if hub_id else f"a local folder, {name(PurePath(base.name).name)}, whose origin is not recorded"
    )
    if hub_id and hub_id != base.name:
        sentence += " (a local copy of it, according to the publisher)"
    revision = f", revision {name(base.revision)}" if base.revision else ""
    return sentence + revision + (f", files with sha256 {name(base.sha256)}" if base.sha256 else "")


def _licence(licence: str | None) -> str:
    if licence:
        return name(licence)
    return "not declared by the publisher; those of the base model and of the training data may apply"


def _training_data(manifest: Manifest) -> str:
    if not manifest.provenance.corpora:
        return "Not recorded: the model was trained elsewhere and imported."
    role = {"train": "training", "validation": "choice of the best epoch"}
    rows = [
        (
            name(corpus.dataset),
            name(corpus.split),
            role.get(corpus.split, ""),
            name(corpus.words_sha256),
            name(corpus.gold_sha256),
        )
        for corpus in manifest.provenance.corpora
    ]
    header = ("data set", "split", "use", "sha256 of the words", "sha256 of the annotation")
    sentence = "The digests identify a corpus: words with sentence and document boundaries, and tags."
    files = [
        f"{name(file.name)} ({name(corpus.split)}): sha256 {name(file.sha256)}"
        for corpus in manifest.provenance.corpora
        for file in corpus.files
    ]
    files += [
        f"{name(corpus.split)} is a part of a larger source: {name(corpus.divided)}"
        for corpus in manifest.provenance.corpora
        if corpus.divided
    ]
    return "\n\n".join([table(header, rows, numbers_from=5), sentence, *([_bullets(files)] if files else [])])


def _procedure(manifest: Manifest) -> str:
    origin = manifest.provenance
    if not origin.training:
        return "Not recorded: the model was trained elsewhere and imported."
    start = "trained from random weights" if _from_scratch(manifest) else "fine-tuned with a new head"
    sentence = (
        f"The whole network was {start}, with AdamW and a linear schedule, in batches of sentences of similar lengths."
    )
    scores = ", ".join(
        f"{text(key.removeprefix('validation_').replace('_', ' '))} {100 * value:.2f}"
        for key, value in origin.metrics.items()
        if key.startswith("validation_") and key != "validation_loss"
    )
    chosen = f" The epoch with the best strict F1 on the validation split was kept; its scores, in points: {scores}."
    return sentence + (chosen if scores else "")


def _hyperparameters(manifest: Manifest) -> str:
    meanings = {key: meaning.partition("\n")[0] for key, meaning in field_descriptions(ModelConfig).items()}
    rows = [
        (name(key), text(_plain(value)), (meanings | FACTS).get(key, "").replace("|", "\\|"))
        for key, value in manifest.provenance.training.items()
        if key not in _NOT_SHOWN and value not in (None, {}, []) and (key != "vocabulary" or _from_scratch(manifest))
    ]
    return table(("setting", "value", "meaning"), rows, numbers_from=3) if rows else ""


def _environment(manifest: Manifest) -> str:
    origin = manifest.provenance
    hardware = {key: value for key, value in origin.hardware.items() if value is not None}
    if isinstance(ram := hardware.pop("ram_bytes", None), int):
        hardware["memory"] = f"{ram / 1e9:.0f} GB"
    machine = [f"{text(key)} {text(_plain(value))}" for key, value in hardware.items()]
    versions = ", ".join(f"{text(key)} {text(value)}" for key, value in origin.versions.items())
    code = f"{name(origin.code.commit)}{' with uncommitted changes' if origin.code.dirty else ''}"
    lines = [
        *(["Machine: " + ", ".join(machine)] if machine else []),
        *([f"Versions: {versions}"] if versions else []),
        *([f"Code: commit {code}"] if origin.code.commit else []),
    ]
    return _bullets(lines)


def _from_scratch(manifest: Manifest) -> bool:
    return isinstance(manifest.provenance.training.get("base"), dict)


def _origin(artifact: ArtifactRef, manifest: Manifest, evidence: Evidence) -> str:
    made = manifest.provenance
    created = made.created_at
    lines = [
        "by nerbench, from the manifest of the model and the result tables; text outside of the marks is kept",
        f"artifact {name(artifact.artifact_id)}{f', of {created:%Y-%m-%d}' if created else ''}",
        f"weights, configuration and tokenizer together: sha256 {name(artifact.model_sha256)}",
        *([f"trained by run {name(made.run_id)}"] if made.run_id else []),
        *([f"configuration: sha256 {name(made.configuration_sha256)}"] if made.configuration_sha256 else []),
        *([f"scores of run {name(evidence.run_id)} of {evidence.date}"] if evidence.run_id else []),
    ]
    return _bullets(lines)


def _paragraphs(written: str | None) -> str:
    """The text of the publisher, literally; an empty line ends a paragraph."""
    return "\n\n".join(text(one) for one in re.split(r"\n\s*\n", written or "") if one.strip())


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {one}" for one in lines)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
