"""A learning curve of a tiny model, through a Prefect server."""

import pytest

from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.config import Config

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_curve_has_a_point_for_each_share_and_a_slope(config: Config) -> None:
    from nerbench.flows.curve import curve

    model = config.models[0].model_copy(update={"seeds": (0, 1)})
    own = config.model_copy(update={"models": (model,), "results": f"{config.results}-curve"})
    found = curve(own, (10, 100))
    less, more, slope = found["curve"]
    assert [(row["model"], row["dataset"], row["share"], row["n"]) for row in (less, more)] == [
        ("tiny", "own", 10, 2),
        ("tiny", "own", 100, 2),
    ]
    assert less["f1"] < more["f1"]
    assert slope["f1"] > 0
    assert slope["ci_low"] < slope["f1"] < slope["ci_high"]
    names = {f"tiny-{share}pct-seed{seed}" for share in (10, 100) for seed in (0, 1)}
    assert {*Store(f"{config.store}/curve").names()} == names
    assert not names & {*Store(config.store).names()}
    rows = read_results(own.results, "metrics").to_pylist()
    assert {row["model"] for row in rows} == names | {"tiny-10pct", "tiny-100pct"}
