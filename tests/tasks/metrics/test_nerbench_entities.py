"""The metric for other projects loads offline from its folder, and equals the benchmark and seqeval."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tagging import TYPES, counted, random_sentences

from nerbench.tasks.scoring.score import score

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "tasks" / "metrics" / "nerbench_entities"


@pytest.fixture
def metric(load_metric: Callable[[Path], Any]) -> Any:
    return load_metric(FOLDER)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("mode", ["strict", "conlleval"])
def test_it_gives_the_benchmark_s_numbers(metric: Any, mode: str, seed: int) -> None:
    gold, predicted = random_sentences(seed, 40)
    found = metric.compute(predictions=predicted, references=gold, mode=mode)
    rows = {
        (row["label"], row["metric"]): row
        for label in ("overall", *TYPES)
        for row in score(counted(gold, predicted).values(), label)
        if row["mode"] == mode and row["average"] in ("", "micro") and row["slice"] == "all"
    }
    for label, ours in [("overall", found), *found["by_type"].items()]:
        for name in ("precision", "recall", "f1"):
            row = rows[label, name]
            assert ours[name] == pytest.approx(row["value"])
            assert [ours[count] for count in ("tp", "n_pred", "n_gold")] == [
                row[count] for count in ("tp", "n_pred", "n_gold")
            ]
    assert found["n_invalid"] == rows["overall", "f1"]["n_invalid"]


def test_it_gives_seqeval_s_numbers(metric: Any) -> None:
    from seqeval.metrics import f1_score
    from seqeval.scheme import IOB2

    gold, predicted = random_sentences(99, 200)
    strict = metric.compute(predictions=predicted, references=gold)
    assert strict["f1"] == pytest.approx(f1_score(gold, predicted, mode="strict", scheme=IOB2))
    lenient = metric.compute(predictions=predicted, references=gold, mode="conlleval")
    assert lenient["f1"] == pytest.approx(f1_score(gold, predicted))
    assert strict["f1"] != lenient["f1"]


def test_undefined_values_are_zero_by_default(metric: Any) -> None:
    nothing = {"predictions": [["O"]], "references": [["O"]]}
    assert metric.compute(**nothing)["f1"] is None
    assert metric.compute(**nothing, zero=0.0)["f1"] == 0.0


@pytest.mark.parametrize(
    ("predictions", "references", "options", "says"),
    [
        ([["O"], ["O"]], [["O"], ["O", "O"]], {}, "sentence 1 has 2 tags and 1 predicted ones"),
        ([["PER"]], [["O"]], {}, "'PER' is not an IOB2 tag"),
        ([["O"]], [["O"]], {"mode": "lenient"}, "mode 'lenient' is none of strict, conlleval"),
    ],
)
def test_errors_of_users(metric: Any, predictions: Any, references: Any, options: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        metric.compute(predictions=predictions, references=references, **options)


def test_the_metric_needs_no_other_file_of_this_project() -> None:
    code = (FOLDER / "nerbench_entities.py").read_text()
    assert not [name for name in ("tasks", "artifacts", "flows") if f"from {name}" in code or f"import {name}" in code]


@pytest.mark.slow
def test_another_project_loads_it_by_its_path(tmp_path: Path) -> None:
    code = (
        "import evaluate, sys;"
        "m = evaluate.load(sys.argv[1], cache_dir='c');"
        "print(m.compute(predictions=[['B-PER', 'O']], references=[['B-PER', 'B-LOC']])['f1'])"
    )
    environment = {"HF_HOME": str(tmp_path), "HF_EVALUATE_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "PATH": ""}
    command = [sys.executable, "-I", "-c", code, str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(2 / 3)
