"""The subjects of a sweep: stored models, folders, Hub models, and architectures without weights.

Each is what its published checkpoint's `config.json` says where that differs from transformers' defaults for the type.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from nerbench.artifacts import hub_models, loaders
from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.errors import ArtifactNotFoundError, InputError, StoreUnreachableError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import materialise, resolve
from nerbench.tasks.config import Section
from nerbench.tasks.config.loading import absolute_reference, is_folder
from nerbench.tasks.config.schema_models import code_setting
from nerbench.tasks.config.yaml_file import parse_mapping
from nerbench.tasks.inference.loading import one_line, usable_window

Settings = dict[str, Any]
_ROBERTA: Settings = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
_LARGE: Settings = {
    "num_hidden_layers": 24,
    "hidden_size": 1024,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
_DEBERTA_V3: Settings = {
    "model_type": "deberta-v2",
    "vocab_size": 128100,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "type_vocab_size": 0,
    "position_biased_input": False,
    "max_relative_positions": -1,
}

ARCHITECTURES: dict[str, Settings] = {
    "albert-base": {
        "model_type": "albert",
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "bert-base": {"model_type": "bert"},
    "bert-large": {"model_type": "bert", **_LARGE},
    "deberta-v3-base": {**_DEBERTA_V3, "num_hidden_layers": 12},
    "deberta-v3-small": {**_DEBERTA_V3, "num_hidden_layers": 6},
    "distilbert-base": {"model_type": "distilbert"},
    "electra-base": {
        "model_type": "electra",
        "embedding_size": 768,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
    },
    "electra-small": {"model_type": "electra"},
    "minilm-l12": {"model_type": "bert", "hidden_size": 384, "intermediate_size": 1536},
    "minilm-l6": {"model_type": "bert", "num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536},
    "modernbert-base": {"model_type": "modernbert"},
    "roberta-base": {"model_type": "roberta", "vocab_size": 50265, **_ROBERTA},
    "roberta-large": {"model_type": "roberta", "vocab_size": 50265, **_ROBERTA, **_LARGE},
    "xlm-roberta-base": {"model_type": "xlm-roberta", "vocab_size": 250002, **_ROBERTA},
    "xlm-roberta-large": {"model_type": "xlm-roberta", "vocab_size": 250002, **_ROBERTA, **_LARGE},
}
"""By the name that `nerbench speed` takes."""
LABELS = 9
"""Outputs of a model that defines no labels: CoNLL's four types in IOB2."""


NO_LIMIT = 1 << 30
NAME = "name"
"""The key of a configuration with its name; the other keys are those of the model."""
EXAMPLE = "{model_type: bert, num_hidden_layers: 6, hidden_size: 384}"


class Subject(Section):
    """One model to be measured."""

    name: str
    """The name in tables."""
    artifact_id: str
    """The id of an artifact; for an architecture without weights, the digest of its settings."""
    artifact: ArtifactRef | None = None
    """None for a configuration alone."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """The settings of an architecture without weights."""
    headless: bool = False
    """Whether it is a checkpoint without the head of a token classifier."""
    positions: int
    """Pieces that it can read at once."""


def located(model: str, store: str) -> str:
    """The names that a user gives, in the form for the flow: absolute folders, and `hf://…` for a bare id of the Hub.

    A name means the store's model before an architecture, and that before a model of the Hub. Raises
    ArtifactNotFoundError if there is no such model. (What the parameters of a run name is never looked for on the Hub.)
    """
    if model.lstrip().startswith("{") or "://" in model:
        return model
    if "/" in model:
        return absolute_reference(model) if is_folder(model) else _on_hub(model, "is not a folder")
    if model in ARCHITECTURES or "@" in model:
        return model
    try:
        resolve(model, store)
    except ArtifactNotFoundError as error:
        return _on_hub(model, error.problem, f"{error.remedy}; or {_kinds()}")
    return model


def _on_hub(model: str, problem: str, remedy: str = "check the path, or the name") -> str:
    """The location of a model at the commit that it has now; `problem`: what else it is not."""
    try:
        if "/" in model:
            return loaders.pin(f"{hub_models.SCHEME}{model}")
        name, revision = hub_models.parse(
            f"{hub_models.SCHEME}{model}"
        )  # usually a misspelled name of the store: one attempt
        return f"{hub_models.SCHEME}{name}@{hub_models.resolve(name, revision, attempts=1)}"
    except (InputError, StoreUnreachableError) as error:
        reason = error.problem if isinstance(error, InputError) else "the Hub cannot be reached"
        raise ArtifactNotFoundError(f"model {model!r}", f"{problem}; as an id of the Hub: {reason}", remedy) from error


def _kinds() -> str:
    return f"name an architecture: {', '.join(ARCHITECTURES)}; or give {EXAMPLE}"


def find_subjects(models: Iterable[str], store: str) -> list[Subject]:
    """The models that references, names of architectures and configurations (YAML or JSON mappings) mean, each once.

    A name means the store's model before an architecture of that name. Raises InputError.
    """
    found: dict[str, Subject] = {}
    for subject in (subject for model in models for subject in _find(model, store)):
        found.setdefault(subject.artifact_id, subject)
    return list(found.values())


def _find(model: str, store: str) -> Sequence[Subject]:
    if model.lstrip().startswith("{"):
        return [_of_configuration(parse_mapping(model, f"model {model!r}"), f"model {model!r}")]
    try:
        found = resolve(model, store)
        chosen = [one for one in found if one.kind == "model"] if model.startswith("*") else found
        return [of_artifact(artifact) for artifact in chosen]
    except ArtifactNotFoundError as error:
        if model in ARCHITECTURES:
            return [_of_configuration({NAME: model, **ARCHITECTURES[model]}, f"model {model!r}")]
        if "/" in model or "@" in model:
            raise
        raise ArtifactNotFoundError(error.field, error.problem, f"{error.remedy}; or {_kinds()}") from None


def of_artifact(artifact: ArtifactRef) -> Subject:
    """A model with weights. Raises InputError if its configuration does not give the number of positions."""
    path = materialise(artifact) / "config.json"
    with one_line(f"model {artifact.name}", "name a folder made by save_pretrained"):
        config = json.loads(path.read_text())
        positions = usable_window(config, NO_LIMIT)
        saved = config.get("architectures") or ()  # what names no class is taken for a token classifier
        headless = bool(saved) and not any(name.endswith("ForTokenClassification") for name in saved)
    return Subject(
        name=artifact.name,
        artifact_id=artifact.artifact_id,
        artifact=artifact,
        positions=positions,
        headless=headless,
    )


def _of_configuration(given: dict[str, Any], field: str) -> Subject:
    settings = {key: value for key, value in given.items() if key != NAME}
    if not isinstance(settings.get("model_type"), str):
        raise InputError(field, "has no model_type", f"write e.g. {EXAMPLE}")
    if key := code_setting(settings):
        raise InputError(field, f"{key} could load code, which no configuration may", "leave it out")
    described = _describe(settings, field)
    return Subject(
        name=str(given.get(NAME) or _name(settings, described)),
        artifact_id=sha256_hex(canonical_json(settings)),
        settings=settings,
        positions=usable_window(described, NO_LIMIT),
    )


def _describe(settings: dict[str, Any], field: str) -> dict[str, Any]:
    """All settings, including defaults. Raises InputError if there can be no such model."""
    import torch
    from transformers import AutoConfig, AutoModelForTokenClassification

    with one_line(field, "correct the configuration"):
        known = AutoConfig.for_model(settings["model_type"])
        if unknown := [key for key in settings if not hasattr(known, key)]:
            raise InputError(field, f"a {known.model_type} model has no setting {unknown[0]}", "check its spelling")
        config = AutoConfig.for_model(**with_labels(settings))
        with torch.device("meta"):
            AutoModelForTokenClassification.from_config(config)
    described: dict[str, Any] = config.to_dict()
    return described


def with_labels(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the number of labels that CoNLL needs, unless they define one."""
    return settings if {"num_labels", "id2label"} & set(settings) else {**settings, "num_labels": LABELS}


def _name(settings: dict[str, Any], described: dict[str, Any]) -> str:
    """`bert-L6-H384`, and what else was set as a digest."""
    shape = {"L": "num_hidden_layers", "H": "hidden_size"}
    parts = [settings["model_type"]]
    parts += [f"{letter}{described[key]}" for letter, key in shape.items() if described.get(key)]
    if others := {key: value for key, value in settings.items() if key not in {"model_type", *shape.values()}}:
        parts.append(sha256_hex(canonical_json(others))[:6])
    return "-".join(parts)
