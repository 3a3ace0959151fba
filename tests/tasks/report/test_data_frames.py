"""Results in Python: the numbers of the tables, of the runs that were asked for."""

import re
import sys

import pytest

from nerbench.artifacts.errors import InputError
from nerbench.artifacts.tables.tables import read_results
from nerbench.tasks.report.data_frames import Results
from nerbench.tasks.report.report import build
from nerbench.tasks.scoring.metrics import HEADLINE


@pytest.fixture(scope="module")
def found(nights: str) -> Results:
    return Results(nights)


def test_tables_hold_the_rows_of_the_newest_run(nights: str, found: Results) -> None:
    every = read_results(nights, "metrics").to_pandas()
    newest = every[every.run_id == found.runs[0].run_id]
    assert 0 < len(newest) < len(every)
    assert len(found.to_pandas()) == len(newest)
    assert set(found.to_pandas("speed").run_id) == {found.runs[0].run_id}
    assert "run_id" in found.to_pandas("custom").columns


def test_two_nights_are_more_than_one(nights: str, found: Results) -> None:
    ids = read_results(nights, "runs")["run_id"].to_pylist()
    both = Results(nights, ids)
    assert set(both.to_pandas().run_id) == set(ids)
    assert len(both.runs) == len(set(ids)) > len(found.runs)
    with pytest.raises(InputError, match="run 'nobody': has no scores"):
        Results(nights, ["nobody"])


def test_tables_without_runs_hold_the_scored_predictions(found: Results) -> None:
    digests = set(found.to_pandas()["predictions_digest"].dropna())
    assert set(found.to_pandas("predictions")["predictions_digest"]) == digests
    with pytest.raises(InputError, match="table 'scores': is not one of the result tables"):
        found.to_pandas("scores")


def test_the_headline_has_one_row_a_model(found: Results) -> None:
    metrics = found.to_pandas()
    metrics = metrics[metrics.dataset == metrics.gold]
    for name, value in HEADLINE.items():
        metrics = metrics[metrics[name] == value]
    headline = found.headline()
    assert sorted(headline.model) == sorted(metrics.model)
    assert headline.F1.tolist() == pytest.approx(sorted(100 * metrics.value, reverse=True))
    assert (headline.ci_low <= headline.F1).all()
    assert (headline.ci_high >= headline.F1).all()
    assert (headline.p50_ms.dropna() > 0).all()


def test_a_notebook_shows_the_first_table_of_the_report(nights: str, found: Results) -> None:
    shown = re.sub(r"\s+", " ", found._repr_html_()).strip()
    assert shown.startswith('<table class="keys"')
    assert shown in re.sub(r"\s+", " ", build(nights).html)
    assert "<b>worse</b>" not in shown, "a model's name is text"


def test_the_plot_has_a_point_a_model(found: Results) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    ax = found.plot()
    assert len(ax.containers) == len(ax.get_yticks()) == len(found.headline())
    points = [container.lines[0].get_xdata()[0] for container in ax.containers]
    assert sorted(points, reverse=True) == pytest.approx(found.headline().F1.tolist())
    assert found.plot(ax) is ax
    pyplot.close(ax.figure)


def test_a_missing_matplotlib_is_one_line(found: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match="plot: needs matplotlib; pip install matplotlib"):
        found.plot()
