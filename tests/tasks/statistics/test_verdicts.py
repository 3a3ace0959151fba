"""The rule of the verdicts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.statistics import verdicts
from nerbench.tasks.statistics.verdicts import Difference, Verdict, verdict, worst

Points = st.floats(-1, 1)


def judged(low: float, high: float, *, delta: float | None = None, p: float = 0.01, margin: float = 0.005) -> Verdict:
    """The verdict for an interval; the difference is its middle unless given."""
    middle = (low + high) / 2 if delta is None else delta
    return verdict(Difference(middle, low, high, p), margin=margin)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.001, 0.02, "improvement"),
        (0.0, 0.02, "pass"),
        (-0.004, 0.02, "pass"),
        (-0.004, -0.001, "pass"),  # worse, but by less than the margin
        (-0.005, 0.01, "undecided"),
        (-0.02, 0.01, "undecided"),
        (-0.02, 0.0, "undecided"),
        (-0.02, -0.001, "regression"),
        (-0.005, -0.001, "undecided"),  # it fell by 0.3 points
    ],
)
def test_the_rule(low: float, high: float, expected: str) -> None:
    assert judged(low, high) == expected


def test_documents_and_code_state_the_same_rule() -> None:
    root = Path(verdicts.__file__).parents[2]
    pages = [" ".join((root / f"docs/explanation/{name}.md").read_text().split()) for name in ("numbers", "scores")]
    code = " ".join(str(verdicts.__doc__).split())
    parts = (
        "the observed drop exceeds the margin, p ≤ 1 − confidence, and the interval, if there is one, is wholly",
        "the low end of the interval is above −margin",
        "verything else",
    )
    for text in (*pages, code):
        assert [part for part in parts if part not in text] == []


def test_an_interval_below_0_is_no_regression_where_the_drop_is_within_the_margin() -> None:
    assert judged(-0.0075, -0.0005, delta=-0.0040) == "undecided"
    assert judged(-0.0075, -0.0005, delta=-0.0051) == "regression"


def test_no_difference_passes_without_any_margin() -> None:
    assert judged(0.0, 0.0, margin=0.0, p=1.0) == "pass"
    assert judged(-0.001, 0.0, margin=0.0, p=1.0) == "undecided"


@pytest.mark.parametrize(
    ("delta", "p", "expected"),
    [
        (-0.5, 0.05, "regression"),
        (-0.5, 0.0501, "undecided"),
        (-0.005, 0.001, "undecided"),  # not beyond the margin
        (0.5, 0.001, "undecided"),
    ],
)
def test_without_an_interval_the_test_decides(delta: float, p: float, expected: str) -> None:
    assert verdict(Difference(delta, None, None, p)) == expected


def test_an_adjusted_p_can_undo_a_regression() -> None:
    assert judged(-0.02, -0.001, p=0.06) == "undecided"
    assert verdict(Difference(-0.01, -0.02, -0.001, 0.06), confidence=0.9) == "regression"


@given(Points, Points, Points, st.floats(0, 1), st.floats(0, 0.5))
def test_a_drop_by_more_than_the_margin_never_passes(a: float, b: float, c: float, p: float, margin: float) -> None:
    low, delta, high = sorted((a, b, c))
    found = judged(low, high, delta=delta, p=p, margin=margin)
    if -delta > margin:
        assert found in {"undecided", "regression"}
    if found == "regression":
        assert -delta > margin
        assert high < 0


def test_the_worst_of_several() -> None:
    order: list[Verdict] = ["improvement", "pass", "undecided", "regression"]
    for n in range(1, 5):
        assert worst(order[:n]) == order[n - 1]
    with pytest.raises(ValueError, match="empty"):
        worst([])
