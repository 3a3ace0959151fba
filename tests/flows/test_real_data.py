"""A few hundred real CoNLLpp sentences through the whole pipeline, against both annotations of the test split."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from small_corpus import TINY

from nerbench.tasks.config import Config

SENTENCES = 300
pytestmark = pytest.mark.e2e


def head(source: Path, target: Path) -> str:
    """The first sentences of a file, so that the licensed text stays outside the project."""
    blocks = source.read_text().split("\n\n")
    target.write_text("\n\n".join(islice((b for b in blocks if b.strip() and "-DOCSTART-" not in b), SENTENCES)) + "\n")
    return str(target)


@pytest.mark.slow
def test_real_sentences_are_scored_against_both_annotations(shared: Path, prefect_server: None, tmp_path: Path) -> None:
    from nerbench.flows.pipeline import pipeline

    data = shared / "data"
    files = {
        "train": head(data / "conllpp" / "test.txt", tmp_path / "train.txt"),
        "validation": head(data / "conllpp" / "valid.txt", tmp_path / "validation.txt"),
        "test": head(data / "conllpp" / "test.txt", tmp_path / "test.txt"),
    }
    gold = head(data / "conll2003" / "test.txt", tmp_path / "gold.txt")
    model = {"name": "real", "base": TINY, "epochs": 25, "learning_rate": 5e-3, "batch_tokens": 512, "vocabulary": 800}
    summary: dict[str, Any] = pipeline(
        Config.model_validate(
            {
                "store": str(tmp_path / "store"),
                "results": str(tmp_path / "results"),
                "datasets": [{"name": "conllpp", "files": files}],
                "golds": [{"name": "conll2003", "dataset": "conllpp", "file": gold}],
                "models": [model],
                "benchmark": {"speed": False, "device": "cpu", "report": False},
            }
        )
    )
    wanted = {"slice": "all", "mode": "strict", "label": "overall", "average": "micro", "metric": "f1"}
    f1 = {row["gold"]: row["value"] for row in summary["metrics"] if wanted.items() <= row.items()}
    assert f1["conllpp"] > 0.5  # it was trained on these very sentences
    assert 0 < f1["conll2003"] != f1["conllpp"]
