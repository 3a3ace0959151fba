"""Short adapters that tests write and run in real processes."""

import textwrap
from pathlib import Path
from typing import Any

from nerbench.tasks.config import TaggerConfig
from nerbench.tasks.inference.tagger_process import RunningTagger

CAPITALS = """
for words in sentences:
    yield ["B-PER" if word[:1].isupper() else "O" for word in words]
"""
"""A tagger for which every capitalised word is a person."""


def write_adapter(folder: Path, predict: str = CAPITALS, *, init: str = "pass", options: str = "") -> str:
    """A file with a class `Mine`; returns `file.py:Mine`. `predict` and `init` are the bodies of its methods."""
    text = (
        "import json, os, signal, subprocess, sys, time\n\n\nclass Mine:\n"
        f"    def __init__(self{options}):\n{textwrap.indent(textwrap.dedent(init).strip(), ' ' * 8)}\n\n"
        f"    def predict(self, sentences):\n{textwrap.indent(textwrap.dedent(predict).strip(), ' ' * 8)}\n"
    )
    file = folder / "mine.py"
    file.write_text(text)
    return f"{file}:Mine"


def tiny_tagger(folder: Path, predict: str = CAPITALS, *, init: str = "pass", **config: Any) -> TaggerConfig:
    """The configuration of this adapter."""
    adapter = write_adapter(folder, predict, init=init, options=", **options")
    return TaggerConfig.model_validate({"name": "mine", "tagger": adapter, **config})


def impatient(tagger: RunningTagger, seconds: float) -> RunningTagger:
    """A loaded tagger with a limit for its replies. Loading it takes as long as the machine needs."""
    tagger._config = tagger._config.model_copy(update={"timeout_s": seconds})
    return tagger
