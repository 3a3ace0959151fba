"""Well-known architectures by name: configurations without weights, for sweeps of models that nobody has to download.

Each is what its published checkpoint's `config.json` says where that differs from transformers' defaults for the type.
"""

from typing import Any

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
"""Outputs of a model without labels of its own: CoNLL's four types in IOB2."""
