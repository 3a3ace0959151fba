"""The Pareto front of models."""

from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.report.costs import SLACK, CostPoint, pareto

apart = st.sampled_from([1.0, 1.2, 1.5, 2.0, 4.0])
"""Costs that are equal or differ by more than the tolerance."""


@given(st.lists(st.builds(CostPoint, st.integers(80, 84).map(float), apart, apart), max_size=8))
def test_the_front_agrees_with_brute_force(points: list[CostPoint]) -> None:
    def is_beaten(point: CostPoint) -> bool:
        for other in points:
            better = (other.f1 > point.f1, other.latency < point.latency, other.memory < point.memory)  # type: ignore[operator]
            worse = (other.f1 < point.f1, other.latency > point.latency, other.memory > point.memory)  # type: ignore[operator]
            if any(better) and not any(worse):
                return True
        return False

    assert pareto(points) == [not is_beaten(point) for point in points]


def test_costs_within_the_slack_count_as_the_same() -> None:
    fast, noise, slow = (CostPoint(90, latency, 1e8) for latency in (1.0, 1 + SLACK / 2, 1.2))
    assert pareto([fast, noise, slow]) == [True, True, False]
    better = CostPoint(91, 1 + SLACK / 2, 1e8)
    assert pareto([fast, better]) == [False, True]


def test_unknown_memory_is_ignored() -> None:
    assert pareto([CostPoint(90, 1, None), CostPoint(90, 2, 1e6)]) == [True, False]
    assert pareto([]) == []
