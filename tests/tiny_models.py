"""Token classifiers of a few thousand parameters, and their words."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForTokenClassification,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForTokenClassification,
)

from nerbench.tasks.training.setup import train_tokenizer

SENTENCES = [
    "Ada Lovelace lives in Zanzibar .".split(),
    "The Royal Society of London elected Grace Hopper in 1952 .".split(),
    "Müller & Sons opened a bakery near Lake Victoria yesterday".split(),
    "Nobody believed the unbelievable internationalization story , said Bob".split(),
]
LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
VOCABULARY = 130
"""A vocabulary so small that words have several tokens."""
WORDS = sorted({word for sentence in SENTENCES for word in sentence})


def save_bert(folder: Path, *, seed: int = 0, labels: Sequence[str] = LABELS, positions: int = 64) -> Path:
    """A random BERT whose labels depend on every word of the context."""
    tokenizer = train_tokenizer(SENTENCES, VOCABULARY, positions)
    config = BertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=positions,
        intermediate_size=64,
        initializer_range=0.5,
        **_shape(labels),
    )
    torch.manual_seed(seed)
    return _save(BertForTokenClassification(config), tokenizer, folder)


def save_masked(folder: Path) -> Path:
    """A random BERT after pretraining: with the head of a masked language model, and without a pooler."""
    tokenizer = train_tokenizer(SENTENCES, VOCABULARY, 64)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, intermediate_size=64, **_shape(LABELS))
    return _save(BertForMaskedLM(config), tokenizer, folder)


def let_tokenizer_panic(folder: Path, pattern: str) -> Path:
    """Split words by a pattern; the tokenizer panics at a pattern that backtracks without end."""
    saved = json.loads((folder / "tokenizer.json").read_text())
    regex = {"Regex": pattern}
    saved["pre_tokenizer"] = {"type": "Split", "pattern": regex, "behavior": "Isolated", "invert": False}
    (folder / "tokenizer.json").write_text(json.dumps(saved))
    return folder


def save_bag(folder: Path, label_of: Callable[[int], int], *, positions: int = 512) -> Path:
    """A BERT that predicts the label `label_of(id)` for the token `id`, independent of the context."""
    tokenizer = train_tokenizer(SENTENCES, VOCABULARY, positions)
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=positions, intermediate_size=8, **_shape(LABELS)
    )
    model = BertForTokenClassification(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" not in name:
                parameter.zero_()
        for piece in range(len(tokenizer)):
            model.bert.embeddings.word_embeddings.weight[piece, label_of(piece)] = 1.0
        model.classifier.weight[:, : len(LABELS)] = torch.eye(len(LABELS))
    return _save(model, tokenizer, folder)


def save_roberta(folder: Path, *, positions: int = 34, padding: int = 1) -> Path:
    """A random RoBERTa with a byte-level BPE tokenizer that was saved without `add_prefix_space`."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=350,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator([" ".join(["", *sentence]) for sentence in SENTENCES], trainer)
    bpe.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    names = dict(zip(("cls_token", "pad_token", "sep_token", "unk_token"), special, strict=True))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, model_max_length=512, **names)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=positions,
        pad_token_id=padding,
        intermediate_size=64,
        initializer_range=0.5,
        **_shape(LABELS),
    )
    torch.manual_seed(0)
    return _save(RobertaForTokenClassification(config), tokenizer, folder)


def _shape(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "id2label": dict(enumerate(labels)),
        "label2id": {label: number for number, label in enumerate(labels)},
    }


def _save(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
