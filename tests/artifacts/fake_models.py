"""Models of a few numbers, with minimal valid files, and keys that sign models."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from safetensors.numpy import save_file

LABELS = ("O", "B-PER", "I-PER")
MakeModel = Callable[..., Path]
Pair = tuple[Path, Path]


def save_fake_model(folder: Path, value: float, numbers: int, config: dict[str, object]) -> Path:
    """A folder like that of `save_pretrained`: `numbers` float32 weights of the same `value`."""
    folder.mkdir(parents=True)
    save_file({"weight": np.full(numbers, value, dtype=np.float32)}, folder / "model.safetensors")
    id2label = {str(number): label for number, label in enumerate(LABELS)}
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "id2label": id2label, **config}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def write_key_pair(folder: Path, name: str) -> Pair:
    """PEM files with a private key and its public key."""
    private = Ed25519PrivateKey.generate()
    paths = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    paths[0].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    paths[1].write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return paths
