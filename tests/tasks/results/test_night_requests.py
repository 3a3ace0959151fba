"""How many requests a night costs a model whose predictions are cached, where store and results are remote."""

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from benchmarks.fanout_speed import keep_predictions
from fake_models import save_fake_model

from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.memoized_reads import read_once
from nerbench.artifacts.missing_files import find_incomplete
from nerbench.artifacts.references import resolve
from nerbench.artifacts.storage.remote import FsspecRoot
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.compaction import pack_run
from nerbench.tasks.analysis.analysis import analyse
from nerbench.tasks.comparison.reproducibility import changed
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus_refs import describe
from nerbench.tasks.inference.evaluation_cache import Evaluated, plan
from nerbench.tasks.results.rows import metric_rows, write_and_count, write_metrics, write_run
from nerbench.tasks.run_identity import Run, utc_now
from nerbench.tasks.scoring.score_predictions import score_counts

FEW, MANY = 8, 12
"""Enough models for a run to pack its tables."""
MOST = 12
"""Requests for each model, whose configuration and weights are its own."""


def stored_models(number: int, folder: Path) -> Config:
    """So many models with different files and cached predictions, and a corpus of names."""
    where = f"memory://{uuid4().hex}"
    (folder / "test.txt").write_text("Ada B-PER\nLovelace I-PER\n\nBob B-PER\n")
    config = Config.model_validate(
        {
            "store": f"{where}/store",
            "results": f"{where}/results",
            "datasets": [{"name": "own", "files": {"test": str(folder / "test.txt")}}],
            "benchmark": {"device": "cpu", "text": "drop"},
        }
    )
    (corpus,) = describe(config, config.datasets[0])
    for at in range(number):
        made = save_fake_model(folder / f"{at}", float(at), 8, {"number": at})
        (made / "tokenizer_config.json").write_text("{}")
        keep_predictions(config, Store(config.store).publish(made, f"m{at}", Provenance()), corpus, at)
    return config


def night(config: Config, number: int, models: int) -> Counter[str]:
    """The steps of a benchmark, without Prefect; returns the requests by kind."""
    seen: Counter[str] = Counter()
    honest = FsspecRoot._once

    def counted(self: FsspecRoot, method: str, *arguments: Any, **options: Any) -> Any:
        seen[method] += 1
        return honest(self, method, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch, read_once():
        patch.setattr(FsspecRoot, "_once", counted)
        date, results = f"2030-01-{number:02}", config.results
        run = Run(run_id=f"{number}", flow="f", date=date, started_at=utc_now(), attempt=1, results=results)
        (corpus,) = describe(config, config.datasets[0])
        named = [f"m{at}@latest" for at in range(models)]
        for _ in range(2):  # the command checks the references before the flow does
            artifacts = [artifact for name in named for artifact in resolve(name, config.store)]
        assert find_incomplete(artifacts) == {}
        predicted, written = [], []
        for artifact in artifacts:
            record = plan(artifact, corpus.words_sha256, config.benchmark, results).record
            assert record is not None
            one, counts = write_and_count(run, Evaluated(artifact, corpus, record), config)
            predicted.append(one)
            analyse(run, one, config.benchmark)
            rows = [row for label in counts.labels for row in score_counts(results, counts, label, config)]
            written.append(write_metrics(run, one, metric_rows(run, one, rows)))
        assert changed(run, config, predicted) == []
        write_run(run, config, {}, "ok")
        unpacked = seen.copy()
        pack_run(results, {"metrics": written}, now=utc_now())
        assert seen.total() - unpacked.total() <= 2 * models + 10, "each file is read once more"
    return unpacked


def test_a_cached_model_costs_a_dozen_requests_however_many_nights_there_were(tmp_path: Path) -> None:
    found = {}
    for models in (FEW, MANY):
        (tmp_path / f"{models}").mkdir()
        config = stored_models(models, tmp_path / f"{models}")
        found[models] = [night(config, number, models) for number in (1, 2, 3)]
    more = found[MANY][-1] - found[FEW][-1]
    assert more.total() <= MOST * (MANY - FEW), more
    for nights in found.values():
        assert nights[2].total() <= nights[1].total(), "a longer history makes a night no dearer"
