"""Learning curves: F1 by the share of the training data, and what twice as much would add.

The slope is that of the last step, between the two largest shares. Learning curves flatten, so earlier steps would
overestimate the gain from more annotation.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import log2
from statistics import fmean, stdev

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import Config
from nerbench.tasks.scoring.metrics import HEADLINE, Row

SHARES = (5, 10, 25, 50, 100)
"""Percentages of the train split."""
SEEDS = (0, 1, 2)
"""Seeds of models that declare none."""
FOLDER = "curve"
"""The folder of the store for the models of curves, which no other benchmark should find."""


def checked_shares(shares: Sequence[int]) -> list[int]:
    """Distinct percentages in order. Raises InputError for fewer than two, or for one that is not in 1…100."""
    percents = sorted({*shares})
    if len(percents) < 2 or not 0 < percents[0] <= percents[-1] <= 100:
        raise InputError(
            "shares", f"are {', '.join(map(str, shares)) or 'none'}", "give two or more of 1 to 100 percent"
        )
    return percents


def curve_config(config: Config, shares: Sequence[int] = SHARES) -> Config:
    """The configuration that trains each model on each share (percentages), with several seeds, and scores it.

    Gates, speed, perturbations and the Hub are left out. Raises like `checked_shares`.
    """
    percents = checked_shares(shares)
    models = tuple(
        model.model_copy(
            update={"name": _name(model.name, percent), "train_share": percent / 100, "seeds": model.seeds or SEEDS}
            | {"push_to_hub": False, "hub_model_id": None}
        )
        for model in config.base_models
        for percent in percents
    )
    benchmark = config.benchmark.model_copy(update={"speed": False})
    changes = {"models": models, "benchmark": benchmark, "gate": None, "robustness": None}
    return config.model_copy(update=changes | {"store": f"{config.store.rstrip('/')}/{FOLDER}"})


def learning_curves(config: Config, curved: Config, metrics: Iterable[Row]) -> list[Row]:
    """A row for each model, data set and share, and one for the slope.

    Args:
        config: The user's configuration, from which `curve_config` made `curved`.
        metrics: The `metrics` rows of the run; only strict F1 against the data sets' own annotations counts.

    Returns:
        Rows of the shares have `share`, in percent, `f1`, `std` and `n`: mean, standard deviation and number of the
        seeds. Rows of the slope have `f1`, `ci_low` and `ci_high`: the gain in F1 per doubling of the data, and its
        interval over the seeds at `confidence`, that of `benchmark` (see `slope`).
    """
    by_name: dict[str, dict[str, float]] = defaultdict(dict)
    for row in metrics:
        is_headline = row["gold"] == row["dataset"] and row.get("n_models") is None and row["value"] is not None
        if is_headline and HEADLINE.items() <= row.items():
            by_name[row["dataset"]][row["model"]] = row["value"]
    members = {one.name: [seed.name for seed in one.each_seed] for one in curved.base_models}
    percents = sorted({round(100 * one.train_share) for one in curved.base_models})
    rows: list[Row] = []
    for model in config.base_models:
        for dataset, f1 in by_name.items():
            of_share = {p: [f1.get(name) for name in members[_name(model.name, p)]] for p in percents}
            about = {"model": model.name, "dataset": dataset}
            for percent, found in of_share.items():
                known = [value for value in found if value is not None]
                mean = fmean(known) if known else None
                std = stdev(known) if len(known) > 1 else None
                rows.append(about | {"share": percent, "f1": mean, "std": std, "n": len(known)})
            less, more = percents[-2:]
            pairs = zip(of_share[less], of_share[more], strict=True)
            gains = [b - a for a, b in pairs if a is not None and b is not None]
            rows.append(about | slope([gain / log2(more / less) for gain in gains], config.benchmark.confidence))
    return rows


def slope(gains: Sequence[float], confidence: float) -> Row:
    """The mean of the gains per doubling, one per seed, with its t interval; None if there are too few.

    A seed chooses the training data, of which the smaller share is a part of the larger one, and the initial weights.
    The interval is about both, and not about the choice of the test split.
    """
    from scipy.special import stdtrit

    mean = fmean(gains) if gains else None
    row: Row = {"share": None, "f1": mean, "ci_low": None, "ci_high": None, "confidence": confidence, "n": len(gains)}
    if mean is None or len(gains) < 2:
        return row
    width = float(stdtrit(len(gains) - 1, 0.5 + confidence / 2)) * stdev(gains) / len(gains) ** 0.5
    return row | {"ci_low": mean - width, "ci_high": mean + width}


def _name(model: str, percent: int) -> str:
    return f"{model}-{percent}pct"
