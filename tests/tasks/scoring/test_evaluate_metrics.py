"""Metrics of the library `evaluate` from scripts: equal numbers, and every kind of failure."""

from pathlib import Path
from typing import Any

import pytest
from tagging import TYPES, counted, paired, random_sentences

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import EvaluateMetric
from nerbench.tasks.scoring.benchmark_functions import collect
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.score import score
from nerbench.tasks.scoring.user_metrics import Identity, Predictions, run_custom

SEQEVAL = Path(__file__).with_name("seqeval_script.py")
OURS = Path(__file__).resolve().parents[3] / "tasks/metrics/nerbench_entities/nerbench_entities.py"
GOLD, PREDICTED = random_sentences(7, 200)
TAGGED = paired(GOLD, PREDICTED)
IDENTITY = Identity(model="m", artifact_id="a", dataset="d", gold="g", split="test")
PREDICTIONS = Predictions(identity=IDENTITY, types=TAGGED.types, parts=lambda: [TAGGED])


def rows_of(script: Path, **options: Any) -> list[Row]:
    return run_custom(collect([EvaluateMetric(evaluate=str(script), **options)]), PREDICTIONS)


def micro(mode: str) -> dict[tuple[str, str], Any]:
    """nerbench's numbers by label and metric, with 0 for undefined."""
    rows = [row for label in ("overall", *TYPES) for row in score(counted(GOLD, PREDICTED).values(), label)]
    return {
        (row["label"], row["metric"]): row["value"] or 0.0
        for row in rows
        if row["mode"] == mode and row["average"] in ("", "micro") and row["slice"] == "all"
    }


@pytest.mark.parametrize(("arguments", "mode"), [({}, "conlleval"), ({"mode": "strict"}, "strict")])
def test_seqeval_gives_the_same_numbers(arguments: dict[str, Any], mode: str) -> None:
    rows = rows_of(SEQEVAL, name="seqeval", arguments=arguments)
    found = {(row["label"], row["metric"]): row["value"] for row in rows}
    ours = micro(mode)
    for name in ("precision", "recall", "f1"):
        assert found["overall", f"seqeval.overall_{name}"] == pytest.approx(ours["overall", name])
        for kind in TYPES:
            assert found[kind, f"seqeval.{name}"] == pytest.approx(ours[kind, name])
    assert found["overall", "seqeval.overall_accuracy"] == pytest.approx(micro("tag")["overall", "accuracy"])
    assert {row["parameters"] for row in rows} == {"mode=strict" if arguments else None}
    assert {row["source"].partition("@")[0] for row in rows} == {"seqeval_script.py"}
    assert {row["level"] for row in rows} == {"custom"}


def test_two_of_a_script_have_names() -> None:
    given = [EvaluateMetric(evaluate=str(SEQEVAL), name=name) for name in ("lenient", "strict")]
    assert [(one.name, one.tags) for one in collect(given)] == [("lenient", ("evaluate",)), ("strict", ("evaluate",))]
    twice = [EvaluateMetric(evaluate=str(SEQEVAL))] * 2
    with pytest.raises(InputError, match="two metrics are called 'seqeval_script'"):
        collect(twice)


def test_the_nerbench_script_gives_rows_by_type(tmp_path: Path) -> None:
    script = tmp_path / "entities.py"
    script.write_text(OURS.read_text())
    found = {(row["label"], row["metric"]): row["value"] for row in rows_of(script)}
    ours = micro("strict")
    assert found["overall", "entities.f1"] == pytest.approx(ours["overall", "f1"])
    assert found["PER", "entities.by_type.f1"] == pytest.approx(ours["PER", "f1"])


SCRIPT = """
import datasets, evaluate

class M(evaluate.Metric):
    def _info(self):
        return evaluate.MetricInfo(description="", citation="", features=datasets.Features({features}))

    def _compute(self, predictions, references, **rest):
        {body}
"""
FLAT = "{'predictions': datasets.Value('int32'), 'references': datasets.Value('int32')}"


def script(folder: Path, features: str, body: str) -> Path:
    path = folder / "script.py"
    path.write_text(SCRIPT.format(features=features, body=body))
    return path


def test_flat_metrics_get_numbers(tmp_path: Path) -> None:
    body = "return {'accuracy': sum(a == b for a, b in zip(predictions, references)) / len(references)}"
    (row,) = rows_of(script(tmp_path, FLAT, body))
    words = [pair for pairs in zip(GOLD, PREDICTED, strict=True) for pair in zip(*pairs, strict=True)]
    assert row["metric"] == "script.accuracy"
    assert row["value"] == pytest.approx(sum(a == b for a, b in words) / len(words))


@pytest.mark.parametrize(
    ("features", "body", "reason"),
    [
        (FLAT, "raise ValueError('no')", "ValueError: no (script.py:9)"),
        (FLAT, "return {'f1': [0.1, 0.2]}", "it returned list, which is not a number"),
        (FLAT.replace("int32", "float32"), "return {}", "ValueError: it needs Value"),
        (
            FLAT.replace("}", ", 'scores': datasets.Value('int32')}"),
            "return {}",
            "ValueError: it needs scores",
        ),
    ],
)
def test_one_that_fails_is_a_row(features: str, body: str, reason: str, tmp_path: Path) -> None:
    (row,) = rows_of(script(tmp_path, features, body))
    assert (row["status"], row["value"]) == ("failed", None)
    assert row["reason"].startswith(reason)


@pytest.mark.parametrize("code", ["from evaluate import Metric", 2 * SCRIPT])
def test_a_script_defines_one(code: str, tmp_path: Path) -> None:
    path = tmp_path / "none.py"
    path.write_text(code.format(features=FLAT, body="pass").replace("class M", "class N", 1))
    with pytest.raises(InputError, match=r"none\.py: defines [02] classes of evaluate\.Metric; name a script"):
        collect([EvaluateMetric(evaluate=str(path))])


def test_a_script_that_imports_from_a_url_sends_no_request(tmp_path: Path) -> None:
    path = script(tmp_path, FLAT, "return {'x': 1}")
    path.write_text("from .helper import x  # From: https://example.org/helper.py\n" + path.read_text())
    with pytest.raises(InputError, match=r"it cannot be loaded \(ImportError: attempted relative import"):
        rows_of(path)
