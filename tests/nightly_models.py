"""A working folder for deployments: two untrained models, one always right and one always wrong."""

from pathlib import Path
from typing import Any

import yaml
from tiny_models import SENTENCES, save_bag

from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store

DOCUMENTS = 20
SETTINGS: dict[str, Any] = {"speed": False, "device": "cpu", "ignore_labels": ["PER"]}


def prepare(folder: Path) -> None:
    """`nerbench.yaml`, a corpus in which every word is a location, a store with `right` and `wrong`, and `new`.

    `new` is a folder that is not published. `gate.yaml` holds `wrong` to `right`.
    """
    document = "-DOCSTART- O\n\n" + "\n".join("".join(f"{word} B-LOC\n" for word in sentence) for sentence in SENTENCES)
    (folder / "test.txt").write_text("\n".join([document] * DOCUMENTS))
    store = Store(str(folder / "var" / "artifacts"))
    for name, label in (("right", 1), ("wrong", 0)):
        store.publish(save_bag(folder / "made" / name, lambda _, label=label: label), name, Provenance())
    save_bag(folder / "new", lambda piece: piece % 2)
    config: dict[str, Any] = {"datasets": [{"name": "own", "files": {"test": "test.txt"}}]}
    both = {"benchmark": SETTINGS | {"models": ["right", "wrong"]}}  # whatever is published concurrently
    (folder / "nerbench.yaml").write_text(yaml.safe_dump(config | both))
    gate = {"gate": {"baseline": "right@latest"}, "benchmark": SETTINGS | {"models": ["wrong"]}}
    (folder / "gate.yaml").write_text(yaml.safe_dump(config | gate))
