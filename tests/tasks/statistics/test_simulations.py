"""Simulates coverage, false alarms and power, and prints the figures.

    pytest -m slow tests/tasks/statistics

The simulated corpora are shaped like CoNLLpp test, on which MiniLM was measured: documents hold a log-normal number of
entities (σ = 0.85; there 0.84), and the errors cluster by document, with an intra-document correlation of 0.1 (there
0.12 overall) or 0.3 (there 0.1 to 0.3 for single types). Of the entities that are missed, 60 % have a prediction of
another type or boundary instead; other false ones make up for the rest, so that precision, recall and F1 are equal.
"""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest

from nerbench.tasks.statistics.confidence_intervals import interval, too_small, wilson
from nerbench.tasks.statistics.paired_tests import detectable, p_value, paired_bootstrap, permuted
from nerbench.tasks.statistics.resampling import Floats, left_out
from nerbench.tasks.statistics.verdicts import Difference, verdict

pytestmark = pytest.mark.slow
SIMULATIONS, INTERVALS, AT_ONCE = 2000, 8000, 50
SIGMA, OWN = 0.85, 0.05


def beta(rng: np.random.Generator, mean: Floats, correlation: float) -> Floats:
    """Accuracies of documents: of two entities of one, whether each is found has this correlation."""
    size = 1 / correlation - 1
    return rng.beta(mean * size, (1 - mean) * size)


def alike(rng: np.random.Generator, size: Floats) -> Floats:
    """How many times the mean error rate each document's is expected to be, by its size: one."""
    return np.ones_like(size)


def hard_tenth(rng: np.random.Generator, size: Floats) -> Floats:
    """A tenth of the documents contains two thirds of the errors."""
    return np.where(rng.random(size.shape) < 0.1, 20 / 3, 10 / 27)


def long_ones(rng: np.random.Generator, size: Floats) -> Floats:
    """The longer a document, the more errors an entity; over all entities the mean is one."""
    return (size / size.mean()) ** 0.3 / np.exp(SIGMA**2 * (0.3**2 + 0.3) / 2)


def corpora(
    rng: np.random.Generator,
    *,
    documents: int,
    support: int,
    f1: float,
    correlation: float,
    shared: float = 1.0,
    drop: float = 0.0,
    hardness: Callable[[np.random.Generator, Floats], Floats] = alike,
) -> tuple[Floats, Floats]:
    """Right, predicted and gold entities of two models: (documents, AT_ONCE, 3) each.

    shared: the entities, and spurious ones, that are right or wrong in both; in the others each model also has
    documents of its own that it finds easy or hard. drop: how much worse the second model is. hardness: see `alike`.
    """
    shape = documents, AT_ONCE
    size = rng.lognormal(np.log(support / documents) - SIGMA**2 / 2, SIGMA, shape)
    gold = rng.poisson(size)
    accuracy = np.clip(beta(rng, 1 - (1 - f1) * hardness(rng, size), correlation), 1e-9, 1 - 1e-9)
    in_both = rng.binomial(gold, shared)
    right_in_both = rng.binomial(in_both, accuracy)
    replaced_in_both = rng.binomial(in_both - right_in_both, 0.6)
    false = size * 0.4 * (1 - f1)
    clusters = rng.gamma(0.25 / correlation, correlation / 0.25, shape)
    false_in_both = rng.poisson(false * clusters * shared)
    models = []
    for damage in (0.0, drop / f1):
        right = right_in_both + rng.binomial(gold - in_both, beta(rng, accuracy, OWN))
        replaced = replaced_in_both + rng.binomial(gold - in_both - (right - right_in_both), 0.6)
        predicted = right + replaced + false_in_both + rng.poisson(false * (1 - shared))
        models.append(np.stack([right - rng.binomial(right, damage), predicted, gold], axis=-1).astype(float))
    return models[0], models[1]


def scores(sums: Floats) -> Floats:
    """F1, precision and recall (…, AT_ONCE × 3) of sums (…, AT_ONCE × 3)."""
    right, predicted, gold = np.moveaxis(sums.reshape(*sums.shape[:-1], AT_ONCE, 3), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = np.stack([2 * right / (predicted + gold), right / predicted, right / gold], axis=-1)
    return numbers.reshape(sums.shape)


def f1_difference(base: Floats, candidate: Floats) -> Floats:
    """(…, AT_ONCE)"""
    return (scores(candidate) - scores(base))[..., ::3]


def covered(*, documents: int, support: int, f1: float, correlation: float, **hardness: Any) -> Floats:
    """Share of the intervals of F1, precision and recall that hold the true value; of those shown, not `too_small`."""
    rng = np.random.default_rng([documents, support, round(1000 * f1), round(100 * correlation)])
    hits, found = np.zeros(3), 0
    while found < INTERVALS:
        counts = corpora(rng, documents=documents, support=support, f1=f1, correlation=correlation, **hardness)[0]
        values = counts.reshape(documents, -1)
        low, high = wilson(scores(values.sum(0)), scores(left_out(values)), shares_of(counts))
        n_gold, n_units = counts[..., 2].sum(0), np.count_nonzero(counts[..., 2], axis=0)
        shown = [too_small(int(n), int(u)) is None for n, u in zip(n_gold, n_units, strict=True)]
        hits += ((low <= f1) & (f1 <= high)).reshape(-1, 3)[shown].sum(0)
        found += sum(shown)
    return hits / found


def shares_of(counts: Floats) -> Floats:
    """(documents, AT_ONCE × 3) each document's share of the gold and predicted entities, for each of the scores."""
    size = counts[..., 1] + counts[..., 2]
    return np.repeat(size / size.sum(0), 3, axis=1)


def coverage_text(shares: Floats) -> str:
    return " ".join(f"{100 * share:5.1f}" for share in shares)


def show(capsys: pytest.CaptureFixture[str], setting: str, figures: str) -> None:
    with capsys.disabled():
        print(f"\n{setting}:  {figures}", end="")


LEAST, MOST, NOISE = 0.93, 0.98, 0.006
"""Print the coverage of nominal 95 %, and two standard errors."""


@pytest.mark.parametrize("correlation", [0.1, 0.3])
@pytest.mark.parametrize("documents", [20, 50, 231])
@pytest.mark.parametrize("f1", [0.6, 0.9, 0.97, 0.99])
def test_intervals_cover(capsys: pytest.CaptureFixture[str], f1: float, documents: int, correlation: float) -> None:
    """Nominal 95 % covers 93 % or more, and where more than 97 %, little more: see `docs/explanation/scores.md`."""
    for support in (100, 1000, 5700):
        found = covered(documents=documents, support=support, f1=f1, correlation=correlation)
        show(capsys, f"{documents} documents, {support} entities, F1 {f1:.2f}, ρ {correlation}", coverage_text(found))
        assert (found >= LEAST - NOISE).all()
        assert (found <= MOST + NOISE).all()


@pytest.mark.parametrize(("documents", "support"), [(25, 60), (25, 1000), (35, 40)])
def test_intervals_for_little_support_cover(capsys: pytest.CaptureFixture[str], documents: int, support: int) -> None:
    """For small documents, about half of the corpora get no interval."""
    for f1, correlation in product((0.7, 0.9, 0.97), (0.1, 0.3)):
        found = covered(documents=documents, support=support, f1=f1, correlation=correlation)
        show(capsys, f"{documents} documents, {support} entities, F1 {f1:.2f}, ρ {correlation}", coverage_text(found))
        assert (found >= LEAST - NOISE).all()


@pytest.mark.parametrize(("hardness", "correlation", "least"), [(hard_tenth, 0.1, 0.9), (long_ones, 0.3, 0.92)])
def test_intervals_of_other_corpora_are_too_narrow(
    capsys: pytest.CaptureFixture[str], hardness: Callable[..., Floats], correlation: float, least: float
) -> None:
    """At an F1 of 0.9, where they are narrowest."""
    for documents in (20, 50, 231):
        found = covered(documents=documents, support=1000, f1=0.9, correlation=correlation, hardness=hardness)
        show(capsys, f"{hardness.__name__}: {documents} documents, F1 0.9, ρ {correlation}", coverage_text(found))
        assert (found >= least - NOISE).all()


class Compared(NamedTuple):
    """The share of simulated pairs of models in which …"""

    significant: float
    """the permutation test says p ≤ 0.05"""
    worse: float
    """the interval of the difference is below 0"""
    better: float
    """the interval of the difference is above 0"""
    regression: float
    """the verdict is `regression`"""
    covered: float
    """the interval holds the true difference"""
    detectable: float
    """(no share) the mean of the difference that they could detect, in points"""


def compared(*, drop: float, n: int = 999, **setting: float) -> Compared:
    rng = np.random.default_rng(1)
    found = []
    for seed in range(SIMULATIONS // AT_ONCE):
        base, candidate = (counts.reshape(len(counts), -1) for counts in corpora(rng, drop=drop, **setting))
        point = f1_difference(base.sum(0), candidate.sum(0))
        drawn = f1_difference(*paired_bootstrap(base, candidate, seed=seed))
        low, high = interval(point, drawn, f1_difference(left_out(base), left_out(candidate)))
        p = p_value(point, f1_difference(*permuted(base, candidate, seed=seed, n=n)))
        judged = (Difference(*one) for one in zip(point, low, high, p, strict=True))
        regressions = [verdict(one) == "regression" for one in judged]
        holds = (low <= -drop) & (-drop <= high)
        found.append([p <= 0.05, high < 0, low > 0, regressions, holds, 100 * detectable(drawn)])
    return Compared(*(float(np.mean(column)) for column in zip(*found, strict=True)))


def reported_on(found: Compared) -> str:
    *shares, least = found
    figures = ", ".join(f"{name} {100 * share:.1f} %" for name, share in zip(found._fields, shares, strict=False))
    return f"{figures}, detectable {least:.2f} points"


@pytest.mark.parametrize("shared", [0.0, 0.6, 0.8])
@pytest.mark.parametrize(("documents", "support"), [(231, 5702), (50, 300)])
def test_false_alarms(capsys: pytest.CaptureFixture[str], documents: int, support: int, shared: float) -> None:
    """For equally good models; 5 % of 2,000 simulations may be 6 % by chance (two standard errors)."""
    found = compared(drop=0.0, documents=documents, support=support, f1=0.91, correlation=0.1, shared=shared)
    show(
        capsys,
        f"no difference, {documents} documents, {support} entities, {shared:.0%} of outcomes shared",
        reported_on(found),
    )
    assert found.significant <= 0.06
    assert found.worse <= 0.05
    assert found.regression <= 0.05


@pytest.mark.parametrize(("shared", "least"), [(1.0, 0.99), (0.8, 0.9), (0.7, 0.7), (0.6, 0.6), (0.0, 0.2)])
def test_power(capsys: pytest.CaptureFixture[str], shared: float, least: float) -> None:
    """The power to detect a loss of one point on a corpus like the test split of CoNLLpp.

    The share of common outcomes is 1.0 for a damaged copy (apart from the damage), about 0.7 to 0.8 for two seeds of
    a recipe, and 0 for models with only the difficulty of documents in common.
    """
    found = compared(drop=0.01, documents=231, support=5702, f1=0.91, correlation=0.1, shared=shared)
    show(capsys, f"one point lost, {shared:.0%} of outcomes shared", reported_on(found))
    assert found.significant >= least
    assert found.regression >= least - 0.05
