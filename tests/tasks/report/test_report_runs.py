"""The runs in a report."""

from pathlib import Path

import pytest
from scored_runs import score

from nerbench.artifacts.errors import InputError
from nerbench.tasks.results.query import select_runs
from nerbench.tasks.results.summary import read_run

TAGS = [["B-PER", "O"]]


def test_the_newest_run_is_chosen_and_others_by_id_or_date(tmp_path: Path) -> None:
    results = str(tmp_path)
    for night, hour in ((1, 0), (2, 0), (2, 5), (3, 0)):
        score(results, night, TAGS, TAGS, hour=hour, version=night, host="there")
    assert [run.run_id for run in select_runs(results)] == ["night-3"]
    assert [run.run_id for run in select_runs(results, ["2030-01-02"])] == ["night-2-5"]
    chosen = select_runs(results, ["night-1", "2030-01-02", "night-2-5", "night-3"])
    assert [run.run_id for run in chosen] == ["night-3", "night-2-5", "night-1"]
    assert [run.date for run in chosen] == ["2030-01-03", "2030-01-02", "2030-01-01"]
    assert chosen[0].row["host"] == "there"


@pytest.mark.parametrize("wanted", ["night-9", "2030-02-02"])
def test_an_unknown_run_is_refused_with_a_list_of_runs(tmp_path: Path, wanted: str) -> None:
    score(str(tmp_path), 1, TAGS, TAGS)
    with pytest.raises(InputError, match=rf"run '{wanted}': has no scores; choose among night-1"):
        select_runs(str(tmp_path), [wanted])


def test_no_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hold no scores of a complete run"):
        select_runs(str(tmp_path / "nothing"))


def test_a_learning_curve_is_the_newest_run_only_where_there_is_no_other(tmp_path: Path) -> None:
    results = str(tmp_path)

    def newest() -> tuple[str, str]:
        return select_runs(results)[0].run_id, read_run(results).run_id

    score(results, 1, TAGS, TAGS, flow="curve")
    assert newest() == ("night-1", "night-1")
    score(results, 2, TAGS, TAGS, version=2)
    score(results, 3, TAGS, TAGS, version=3, flow="curve")
    assert newest() == ("night-2", "night-2")
    assert [run.run_id for run in select_runs(results, ["night-1", "2030-01-03"])] == ["night-3", "night-1"]
