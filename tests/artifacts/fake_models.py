"""Models of a few numbers, with minimal valid files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

LABELS = ("O", "B-PER", "I-PER")
MakeModel = Callable[..., Path]


def save_fake_model(folder: Path, value: float, numbers: int, config: dict[str, object]) -> Path:
    """A folder like that of `save_pretrained`: `numbers` float32 weights of the same `value`."""
    folder.mkdir(parents=True)
    save_file({"weight": np.full(numbers, value, dtype=np.float32)}, folder / "model.safetensors")
    id2label = {str(number): label for number, label in enumerate(LABELS)}
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "id2label": id2label, **config}))
    (folder / "tokenizer.json").write_text("{}")
    return folder
