"""What fine-tuning starts from: a saved model with a new head, or a new model with a tokenizer trained for it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedConfig, PreTrainedModel

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import ModelConfig
from nerbench.tasks.corpora.corpus import Corpus
from nerbench.tasks.inference.loading import (
    DEFAULT_WINDOW,
    REACHABLE,
    LoadedTokenizer,
    load_tokenizer,
    one_line,
    prepare_tokenizer,
    usable_window,
)
from nerbench.tasks.training.tokenizer import train_tokenizer


class Base(NamedTuple):
    """A model that has not learnt its labels yet."""

    network: PreTrainedModel
    tokenizer: LoadedTokenizer
    window: int
    """Pieces a window, special tokens included."""


def build(model: ModelConfig, train: Corpus, tags: Sequence[str]) -> Base:
    """The model with a fresh head for `tags`; a tokenizer that must be trained learns from `train`.

    Raises InputError where the base cannot be loaded, or has no such setting as is given.
    """
    labels = {"id2label": dict(enumerate(tags)), "label2id": {tag: i for i, tag in enumerate(tags)}}
    with one_line(f"models: {model.name}: base", REACHABLE):
        if isinstance(model.base, dict):
            network, tokenizer = _from_configuration(model, model.base, train, labels)
        else:
            network, tokenizer = _from_checkpoint(model, model.base, labels)
    limit = tokenizer.wrapper.model_max_length
    return Base(network, tokenizer, usable_window(network.config.to_dict(), limit, model.window))


def _from_configuration(
    model: ModelConfig, base: dict[str, Any], train: Corpus, labels: dict[str, Any]
) -> tuple[PreTrainedModel, LoadedTokenizer]:
    field = f"models: {model.name}: base"
    settings = {**base, **model.config_overrides}
    _check_settings(field, settings, AutoConfig.for_model(settings["model_type"]))
    limit = settings.get("max_position_embeddings", DEFAULT_WINDOW)
    tokenizer = prepare_tokenizer(train_tokenizer(train.words, model.vocabulary, limit))
    settings |= {"vocab_size": len(tokenizer.wrapper), "pad_token_id": tokenizer.special.pad}
    config = AutoConfig.for_model(**settings, **labels)
    return AutoModelForTokenClassification.from_config(config, dtype=torch.float32), tokenizer


def _from_checkpoint(model: ModelConfig, base: str, labels: dict[str, Any]) -> tuple[PreTrainedModel, LoadedTokenizer]:
    local = Path(base).is_dir()
    tokenizer = load_tokenizer(base, revision=model.revision, local=local)
    source: dict[str, Any] = {
        "revision": model.revision or "main",
        "local_files_only": local,
        "trust_remote_code": False,
    }
    known = AutoConfig.from_pretrained(base, **source)
    _check_settings(f"models: {model.name}: config_overrides", model.config_overrides, known)
    config = AutoConfig.from_pretrained(base, **source, **model.config_overrides, **labels)
    network, loading = AutoModelForTokenClassification.from_pretrained(
        base,
        config=config,
        use_safetensors=True,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,  # a head for other labels
        output_loading_info=True,
        **source,
    )
    body = f"{network.base_model_prefix}."
    misfits = {key for key, *_ in loading["mismatched_keys"]}
    if of_body := sorted(key for key in misfits if key.startswith(body)):
        problem = f"the weights of {base} have another shape ({of_body[0]})"
        raise InputError(f"models: {model.name}: config_overrides", problem, "override nothing that they depend on")
    taken_over = all(key.startswith(body) for key in misfits | loading["missing_keys"])
    if taken_over and known.id2label != config.id2label:
        _renew_head(network)
    return network, tokenizer


def _renew_head(network: PreTrainedModel) -> None:
    """Replace the head of a classifier of just as many labels, but other ones, or in another order."""
    fresh = AutoModelForTokenClassification.from_config(network.config, dtype=torch.float32)
    for name, module in fresh.named_children():
        if name != network.base_model_prefix:
            setattr(network, name, module)


def _check_settings(field: str, settings: Iterable[str], known: PreTrainedConfig) -> None:
    # transformers would keep an unknown one beside the others, and never read it
    if unknown := [key for key in settings if not hasattr(known, key)]:
        raise InputError(field, f"a {known.model_type} model has no setting {unknown[0]}", "check its spelling")
