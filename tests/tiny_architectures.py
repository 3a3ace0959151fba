"""Random token classifiers of a few thousand parameters, one for each common architecture."""

from pathlib import Path
from typing import Any

import torch
import transformers
from tiny_models import LABELS, SENTENCES, VOCABULARY

from nerbench.tasks.training.setup import train_tokenizer

POSITIONS = 64
_POSITION_IDS = {"max_position_embeddings": POSITIONS}
_OFFSET = {"max_position_embeddings": POSITIONS + 1, "pad_token_id": 0}
_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_DISENTANGLED = {**_SMALL, **_POSITION_IDS, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}
_FUNNEL = {"d_model": 32, "n_head": 2, "d_head": 16, "block_sizes": [1, 1], "d_inner": 64}
_OPTIONS: dict[str, dict[str, Any]] = {
    "Bert": {**_SMALL, **_POSITION_IDS},
    "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, **_POSITION_IDS},
    "Electra": {**_SMALL, **_POSITION_IDS, "embedding_size": 16},
    "Albert": {**_SMALL, **_POSITION_IDS, "embedding_size": 16},
    "Roberta": {**_SMALL, **_OFFSET},
    "XLMRoberta": {**_SMALL, **_OFFSET},
    "MPNet": {**_SMALL, **_OFFSET},
    "Deberta": _DISENTANGLED,
    "DebertaV2": _DISENTANGLED,
    "ModernBert": {**_SMALL, **_POSITION_IDS, "local_attention": 8, "pad_token_id": 0},
    "RoFormer": {**_SMALL, **_POSITION_IDS, "embedding_size": 32},
    "ConvBert": {**_SMALL, **_POSITION_IDS, "embedding_size": 32},
    "Funnel": _FUNNEL,
}
NAMES = tuple(_OPTIONS)


def save_architecture(folder: Path, name: str, *, seed: int = 0) -> Path:
    """A random model of the transformers family `name`, whose labels depend on the context."""
    tokenizer = train_tokenizer(SENTENCES, VOCABULARY, POSITIONS)
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(tokenizer),
        initializer_range=0.5,
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        **_OPTIONS[name],
    )
    torch.manual_seed(seed)
    transformers.AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
