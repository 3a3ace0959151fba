"""Learning curves: what is trained, and the slope from the scores."""

from typing import Any

import pytest

from nerbench.artifacts.errors import InputError
from nerbench.tasks.analysis.learning_curve import SHARES, curve_config, learning_curves, slope
from nerbench.tasks.config import Config
from nerbench.tasks.scoring.metrics import HEADLINE

CONFIG = Config.model_validate(
    {
        "store": "./store/",
        "datasets": [{"name": "own", "files": {"train": "a", "validation": "a", "test": "a"}}],
        "models": [{"name": "m", "base": {"model_type": "bert"}, "seeds": [3, 4]}, {"name": "n", "base": "x"}],
        "gate": {},
    }
)


def test_each_model_is_trained_on_each_share_with_each_seed() -> None:
    made = curve_config(CONFIG)
    names = [model.name for model in made.trained_models]
    assert len(names) == len(SHARES) * (2 + 3)
    assert names[:2] == ["m-5pct-seed3", "m-5pct-seed4"]
    assert names[-1] == "n-100pct-seed2"
    assert {model.train_share for model in made.trained_models} == {share / 100 for share in SHARES}
    assert (made.store, made.gate, made.benchmark.speed) == ("./store/curve", None, False)
    Config.model_validate(made.model_dump())


@pytest.mark.parametrize("shares", [(), (50,), (50, 50), (0, 50), (50, 101)])
def test_shares_without_a_curve_are_refused(shares: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"shares: are .*; give two or more of 1 to 100 percent"):
        curve_config(CONFIG, shares)


def scored(**values: float | None) -> list[dict[str, Any]]:
    about = {"dataset": "own", "gold": "own", "n_models": None}
    return [HEADLINE | about | {"model": name.replace("_", "-"), "value": value} for name, value in values.items()]


def test_the_slope_is_the_mean_gain_of_the_last_doubling() -> None:
    config = CONFIG.model_copy(update={"models": CONFIG.models[:1]})
    metrics = scored(
        m_10pct_seed3=0.3,
        m_10pct_seed4=0.5,
        m_25pct_seed3=0.7,
        m_25pct_seed4=0.71,
        m_100pct_seed3=0.8,
        m_100pct_seed4=0.85,
    )
    further = [row | {"gold": "other", "value": 0.1} for row in metrics]
    means = [row | {"n_models": 2, "model": "m-100pct"} for row in metrics]
    *points, last = learning_curves(config, curve_config(config, (10, 25, 100)), metrics + further + means)
    assert [(one["share"], one["f1"], one["n"]) for one in points] == [
        (10, pytest.approx(0.4), 2),
        (25, pytest.approx(0.705), 2),
        (100, pytest.approx(0.825), 2),
    ]
    # gains of 0.10 and 0.14 over two doublings: 0.05 and 0.07; t(0.975, 1) = 12.706, s = 0.0141421
    assert last["f1"] == pytest.approx(0.06)
    assert last["ci_high"] - last["f1"] == pytest.approx(12.7062 * 0.01414214 / 2**0.5, rel=1e-4)
    assert (last["share"], last["confidence"]) == (None, 0.95)
    wanted = config.model_copy(update={"benchmark": config.benchmark.model_copy(update={"confidence": 0.9})})
    *_, last = learning_curves(wanted, curve_config(wanted, (10, 25, 100)), metrics)
    # t(0.95, 1) = 6.314
    assert last["ci_high"] - last["f1"] == pytest.approx(6.3138 * 0.01414214 / 2**0.5, rel=1e-4)
    assert last["confidence"] == 0.9


def test_a_model_that_failed_leaves_its_seed_out() -> None:
    config = CONFIG.model_copy(update={"models": CONFIG.models[:1]})
    metrics = scored(m_50pct_seed3=0.5, m_100pct_seed3=0.6, m_100pct_seed4=0.7)
    half, whole, last = learning_curves(config, curve_config(config, (50, 100)), metrics)
    assert (half["n"], half["std"], whole["n"]) == (1, None, 2)
    assert (last["f1"], last["ci_low"], last["n"]) == (pytest.approx(0.1), None, 1)
    assert slope([], 0.95)["f1"] is None
