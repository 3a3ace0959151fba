"""The verdicts of the contract."""

import pytest

from tasks.statistics.verdicts import Verdict, verdict, worst


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 0.02, "improvement"),
        (0.0, 0.02, "pass"),
        (-0.004, 0.02, "pass"),
        (-0.004, -0.001, "pass"),  # worse, but by less than the margin
        (-0.005, 0.01, "inconclusive"),
        (-0.02, 0.01, "inconclusive"),
        (-0.02, 0.0, "inconclusive"),
        (-0.02, -0.001, "regression"),
        (-0.005, -0.001, "regression"),
    ],
)
def test_the_rules(low: float, high: float, expected: str) -> None:
    assert verdict(low, high, 0.005) == expected


def test_no_difference_passes_without_any_margin() -> None:
    assert verdict(0.0, 0.0, 0.0) == "pass"
    assert verdict(-0.001, 0.0, 0.0) == "inconclusive"


def test_nothing_known_is_inconclusive() -> None:
    assert verdict(float("nan"), float("nan")) == "inconclusive"


def test_half_a_point_does_not_matter() -> None:
    assert (verdict(-0.0049, 0.01), verdict(-0.0051, 0.01)) == ("pass", "inconclusive")


def test_the_worst_of_several() -> None:
    order: list[Verdict] = ["improvement", "pass", "inconclusive", "regression"]
    for n in range(1, 5):
        assert worst(order[:n]) == order[n - 1]
    with pytest.raises(ValueError, match="empty"):
        worst([])
