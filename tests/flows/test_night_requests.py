"""How many requests a night costs a model whose predictions are cached, where store and results are remote."""

import json
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tiny_models import SENTENCES, save_bag

from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.storage.remote import FsspecRoot
from nerbench.artifacts.store import Store
from nerbench.tasks.config import Config

pytestmark = pytest.mark.e2e
FEW, MANY = 2, 5
MOST = 12
"""Requests for each model."""


def night_of(models: int, folder: Path, where: str) -> Config:
    """So many models, each with a file of its own, and a corpus in which every word is a location."""
    document = "-DOCSTART- O\n\n" + "\n".join("".join(f"{word} B-LOC\n" for word in sentence) for sentence in SENTENCES)
    (folder / "test.txt").write_text(document)
    made = save_bag(folder / "made", lambda piece: piece % 2)
    for number in range(models):
        settings = made / "config.json"
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"number": number}))
        Store(f"{where}/store").publish(made, f"m{number}", Provenance())
    return Config.model_validate(
        {
            "store": f"{where}/store",
            "results": f"{where}/results",
            "datasets": [{"name": "own", "files": {"test": str(folder / "test.txt")}}],
            "benchmark": {"speed": False, "report": False, "device": "cpu", "ignore_labels": ["PER"]},
        }
    )


def requests_of(config: Config) -> Counter[str]:
    """The requests of one night, by kind."""
    from nerbench.flows.benchmark import benchmark

    seen: Counter[str] = Counter()
    honest = FsspecRoot._once

    def counted(self: FsspecRoot, method: str, *arguments: Any, **options: Any) -> Any:
        seen[method] += 1
        return honest(self, method, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FsspecRoot, "_once", counted)
        summary = benchmark(config)
    assert summary["evaluated"] == 0
    return seen


def test_a_cached_model_costs_a_dozen_requests_however_many_nights_there_were(
    prefect_server: None, tmp_path: Path
) -> None:
    from nerbench.flows.benchmark import benchmark

    found = {}
    for models in (FEW, MANY):
        (tmp_path / f"{models}").mkdir()
        config = night_of(models, tmp_path / f"{models}", f"memory://{uuid4().hex}")
        benchmark(config)
        found[models] = [requests_of(config) for _ in range(3)]
    print(found)
    few, many = (nights[-1] for nights in found.values())
    assert many.total() - few.total() <= MOST * (MANY - FEW), many - few
    assert all(nights[2].total() <= nights[0].total() + 2 for nights in found.values())
