"""Simulates comparisons of two equally good models, and the verdicts of the gate.

Documents contain a log-normal number of entities (σ = 0.85, like CoNLLpp), with 1.7 entities per sentence on average.
The accuracy of a model differs between documents: the outcomes of two entities in a document have the correlation ρ.
Each model has different hard documents, which maximises the variance of the difference between documents. Of the
missed entities, 60 % have a wrong prediction in their place; the number of other wrong predictions is 40 % of the
number of missed entities.
"""

from typing import NamedTuple

import numpy as np

from nerbench.tasks.comparison.paired_differences import decided
from nerbench.tasks.statistics.confidence_intervals import MIN_UNITS, too_small
from nerbench.tasks.statistics.paired_tests import Clusters, Resampling, assess, design_effect
from nerbench.tasks.statistics.resampling import Floats
from nerbench.tasks.statistics.verdicts import Verdict, exceeds

AT_ONCE = 40
SIGMA, IN_SENTENCE = 0.85, 0.7
TYPES = 3
"""Entity types; a gate with several rules has the overall rule and one rule per type."""


class Cell(NamedTuple):
    """The parameters of a simulation."""

    documents: int
    entities: int
    f1: float
    correlation: float
    rules: int = 1
    shared: float = 0.0
    """Share of the entities on which both models have the same outcome."""
    margin: float = 0.005
    resamples: int = 300
    permutations: int = 399


class Rates(NamedTuple):
    """Shares of the comparisons in which a rule …"""

    regression: float
    """is a `regression`"""
    undecided: float
    """is `undecided`, and none a `regression`"""
    passed: float
    """(all of them) passes or is an improvement"""
    failed: float
    """fails the run, with the default of `on_undecided`"""


def simulate(cell: Cell, n: int) -> Rates:
    """The rates in n comparisons, rounded up to whole batches of AT_ONCE; the same at every call."""
    rng = np.random.default_rng([cell.documents, cell.entities, round(100 * cell.f1), round(100 * cell.correlation)])
    found: list[tuple[list[Verdict], bool]] = []
    for seed in range(-(-n // AT_ONCE)):
        found += _batch(rng, cell, seed)
    worst = [
        "regression" if "regression" in verdicts else "undecided" if "undecided" in verdicts else "pass"
        for verdicts, _ in found
    ]
    shares = (worst.count(name) / len(worst) for name in ("regression", "undecided", "pass"))
    return Rates(*shares, sum(failed for _, failed in found) / len(found))


def _batch(rng: np.random.Generator, cell: Cell, seed: int) -> list[tuple[list[Verdict], bool]]:
    """Verdicts of every rule, and whether the run fails, of AT_ONCE pairs on one corpus."""
    document, gold = _corpus(rng, cell)
    by_sentence = [_model(rng, cell, document, gold) for _ in range(2)] if not cell.shared else []
    if cell.shared:
        both = rng.binomial(gold, cell.shared)
        common = _model(rng, cell, document, both)
        by_sentence = [common + _model(rng, cell, document, gold - both) for _ in range(2)]
    rules = [np.arange(TYPES), *([one] for one in range(cell.rules - 1))]
    measured = [_measured(cell, document, gold, by_sentence, rule, seed) for rule in rules]
    verdicts = []
    for at in range(AT_ONCE):
        rows = decided([rule[at] for rule in measured], 0.95)
        failed = any(
            row["verdict"] == "regression" or (row["verdict"] == "undecided" and exceeds(row["delta"], cell.margin))
            for row in rows
        )
        verdicts.append(([row["verdict"] for row in rows], failed))
    return verdicts


def _corpus(rng: np.random.Generator, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """(sentences,) their documents, and (sentences, TYPES) their entities."""
    weights = rng.lognormal(0, SIGMA, cell.documents)
    sizes = np.maximum(1, np.round(weights / weights.sum() * cell.entities)).astype(int)
    document, gold = [], []
    for number, size in enumerate(sizes):
        left = int(size)
        while left:
            here = min(left, 1 + int(rng.poisson(IN_SENTENCE)))
            document.append(number)
            gold.append(rng.multinomial(here, [1 / TYPES] * TYPES))
            left -= here
    return np.array(document), np.array(gold)


def _model(rng: np.random.Generator, cell: Cell, document: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """(sentences, TYPES, AT_ONCE, 2): right and predicted entities."""
    shape = cell.documents, 1, AT_ONCE
    accuracy = np.full(shape, cell.f1)
    if cell.correlation:
        size = 1 / cell.correlation - 1
        accuracy = rng.beta(cell.f1 * size, (1 - cell.f1) * size, shape)
    there = np.repeat(gold[:, :, None], AT_ONCE, axis=2)
    right = rng.binomial(there, accuracy[document])
    predicted = right + rng.binomial(there - right, 0.6) + rng.poisson(0.4 * (1 - accuracy[document]) * there)
    return np.stack([right, predicted], axis=-1).astype(np.float64)


def _measured(
    cell: Cell, document: np.ndarray, gold: np.ndarray, models: list[np.ndarray], types: list[int], seed: int
) -> list[dict[str, object]]:
    """The input of `decided` for one rule, by the unit that `deltas` would choose."""
    n_gold = gold[:, types].sum(1)
    per_document = np.bincount(document, n_gold)
    counts = [one[:, types].sum(1) for one in models]
    by_document = np.count_nonzero(per_document) >= MIN_UNITS
    clusters = None
    if by_document:
        counts = [np.stack([one[document == number].sum(0) for number in range(cell.documents)]) for one in counts]
    else:
        effect = np.full(AT_ONCE, design_effect(per_document))
        clusters = Clusters(effect, np.full(AT_ONCE, np.count_nonzero(n_gold)))
    sizes = per_document if by_document else n_gold
    total = n_gold.sum()
    too_few = too_small(int(total), int(np.count_nonzero(sizes)), unit="unit")
    weights = np.repeat(sizes[:, None], 1, axis=1)
    base, candidate = (np.concatenate([one.reshape(len(one), -1), weights], axis=1) for one in counts)

    def delta(sums: object) -> Floats:
        before, after = (_f1(one) for one in sums)  # type: ignore[attr-defined]
        return after - before

    how = Resampling(seed, cell.resamples, cell.permutations, 0.95)
    found = assess(base, candidate, delta, how, clusters)
    return [
        {
            "delta": found.delta[at],
            "ci_low": None if too_few or np.isnan(found.low[at]) else found.low[at],
            "ci_high": None if too_few or np.isnan(found.high[at]) else found.high[at],
            "p_value": found.p[at],
            "margin": cell.margin,
            "verdict": None,
        }
        for at in range(AT_ONCE)
    ]


def _f1(sums: Floats) -> Floats:
    """(…, AT_ONCE) of (…, AT_ONCE × 2 + 1) sums: right and predicted ones of each, then gold ones."""
    pairs = sums[..., :-1].reshape(*sums.shape[:-1], AT_ONCE, 2)
    whole = pairs[..., 1] + sums[..., -1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        scores: Floats = 2 * pairs[..., 0] / whole
    return scores
