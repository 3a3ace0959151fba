"""The setup of a training: a base model with its tokenizer and data, and a Trainer that is fast and reproducible.

A base is a saved model with a new head, or a new model with a tokenizer trained for it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TrainerCallback,
    set_seed,
)

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.data.corpus import Corpus, load_splits, pick_split
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.data.train_share import take_share
from nerbench.tasks.inference.loaded_model import LoadedTokenizer
from nerbench.tasks.inference.loading import (
    DEFAULT_WINDOW,
    REACHABLE,
    load_tokenizer,
    one_line,
    prepare_tokenizer,
    usable_window,
)
from nerbench.tasks.training.arguments import arguments
from nerbench.tasks.training.batches import Examples, collate
from nerbench.tasks.training.distributed import ALONE, Ranks, training_device
from nerbench.tasks.training.faster_layers import shrink_embeddings, use_frugal_dropout
from nerbench.tasks.training.trainer import TaggerTrainer
from nerbench.tasks.training.validation import Validation, metrics_of

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(sentences: Iterable[Iterable[str]], vocabulary: int, window: int) -> PreTrainedTokenizerFast:
    """Train a cased WordPiece tokenizer of at most `vocabulary` entries; the same words give the same tokenizer.

    The trainer numbers the continuation characters in a hash order that differs between processes. Adding them
    beforehand as special tokens, in sorted order, makes the order deterministic. A new tokenizer with that vocabulary
    then treats them as ordinary tokens.
    """
    words = [word for sentence in sentences for word in sentence]
    draft = _tokenizer(models.WordPiece(unk_token="[UNK]"))
    alphabet = sorted({c for word in set(words) for c in draft.normalizer.normalize_str(word) if not c.isspace()})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=[*SPECIAL, *(f"##{c}" for c in alphabet)],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    draft.train_from_iterator(words, trainer)
    entries = draft.get_vocab()
    tokenizer = _tokenizer(models.WordPiece(vocab=entries, unk_token="[UNK]"))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", entries["[SEP]"]), ("[CLS]", entries["[CLS]"]))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=window,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def _tokenizer(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


class Base(NamedTuple):
    """A model with a head that has not been trained."""

    network: PreTrainedModel
    tokenizer: LoadedTokenizer
    window: int
    """Maximum number of tokens per window, including special tokens."""


def build(model: ModelConfig, train: Corpus, tags: Sequence[str]) -> Base:
    """The model with a new head for `tags`; a new tokenizer is trained on `train`.

    Raises InputError if the base cannot be loaded or lacks one of the given settings.
    """
    labels = {"id2label": dict(enumerate(tags)), "label2id": {tag: i for i, tag in enumerate(tags)}}
    with one_line(f"models: {model.name}: base", REACHABLE):
        if isinstance(model.base, dict):
            network, tokenizer = _from_configuration(model, model.base, train, labels)
        else:
            network, tokenizer = _from_checkpoint(model, model.base, labels)
    limit = tokenizer.wrapper.model_max_length
    return Base(network, tokenizer, usable_window(network.config.to_dict(), limit, model.max_length))


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
        raise InputError(f"models: {model.name}: config_overrides", problem, "do not override what they depend on")
    taken_over = all(key.startswith(body) for key in misfits | loading["missing_keys"])
    if taken_over and known.id2label != config.id2label:
        _renew_head(network)
    return network, tokenizer


def _renew_head(network: PreTrainedModel) -> None:
    """Replace the head of a classifier that has as many labels, but other ones, or in another order."""
    fresh = AutoModelForTokenClassification.from_config(network.config, dtype=torch.float32)
    for name, module in fresh.named_children():
        if name != network.base_model_prefix:
            setattr(network, name, module)


def _check_settings(field: str, settings: Iterable[str], known: PreTrainedConfig) -> None:
    # transformers would keep an unknown setting beside the others, and never read it
    if unknown := [key for key in settings if not hasattr(known, key)]:
        raise InputError(field, f"a {known.model_type} model has no setting {unknown[0]}", "check its spelling")


class TrainingSetup(NamedTuple):
    """A model, the examples to train on, and those to validate on."""

    base: Base
    train: Examples
    held_out: Examples
    restore_embeddings: Callable[[], None]
    """Restores the network's whole vocabulary after training."""

    @property
    def pad(self) -> int:
        """The padding id."""
        return self.base.tokenizer.special.pad


def prepare(model: ModelConfig, dataset: DatasetConfig) -> TrainingSetup:
    """Read the train and validation splits and load the base; the same seed gives the same head."""
    splits = load_splits(dataset)
    train, validation = (pick_split(splits, split, dataset) for split in ("train", "validation"))
    tags = tag_vocabulary(train.types)
    train = take_share(train, model.train_share, model.seed)
    set_seed(model.seed)
    base = build(model, train, tags)
    examples, held_out = (Examples(corpus, base.tokenizer, base.window, tags) for corpus in (train, validation))
    pieces = examples.occurring | held_out.occurring | {base.tokenizer.special.pad}
    return TrainingSetup(base, examples, held_out, shrink_embeddings(base.network, pieces))


def make_trainer(
    model: ModelConfig, setup: TrainingSetup, work: Path, callbacks: Sequence[TrainerCallback], ranks: Ranks = ALONE
) -> TaggerTrainer:
    """The Trainer of a setup, with checkpoints in `work`. It changes settings of torch for the whole process."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that takes time
    # On a CPU, attention with dropout has no kernel of its own; its replacement would compute bf16 slowly, in fp32.
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(training_device(model).type == "cpu")
    use_frugal_dropout(setup.base.network)
    trainer = TaggerTrainer(
        model_config=model,
        validation=Validation(setup.held_out, setup.pad, ranks),
        model=setup.base.network,
        args=arguments(model, work),
        train_dataset=setup.train,
        data_collator=partial(collate, pad=setup.pad),
        processing_class=setup.base.tokenizer.wrapper,
        compute_metrics=metrics_of(model.compute_metrics, setup.held_out),
        callbacks=[*callbacks],
    )
    if ranks.number:
        torch.manual_seed(model.seed + ranks.number)  # other dropout for other sentences
    return trainer
