"""Means over seeds."""

from typing import Any

import pytest

from nerbench.tasks.config import Config, ModelConfig
from nerbench.tasks.scoring.seeds import KEPT, seed_rows

MODEL = ModelConfig(name="m", base="b/c", seeds=(0, 1, 2))


def row(model: str, value: float | None, **changes: Any) -> dict[str, Any]:
    return (
        dict.fromkeys(KEPT, "x")
        | {"model": model, "artifact_id": model, "model_sha256": model, "value": value}
        | changes
    )


def test_each_seed_is_a_separate_model() -> None:
    config = Config(models=(MODEL,))
    assert [(m.name, m.seed, m.seeds) for m in config.trained_models] == [
        ("m-seed0", 0, ()),
        ("m-seed1", 1, ()),
        ("m-seed2", 2, ()),
    ]


def test_the_row_has_mean_and_deviation() -> None:
    (mean,) = seed_rows(MODEL, [row(f"m-seed{n}", value) for n, value in enumerate((0.8, 0.9, 1.0))])
    assert mean["model"] == "m"
    assert mean["value"] == pytest.approx(0.9)
    assert mean["std"] == pytest.approx(0.1)
    assert (mean["n_models"], mean["status"]) == (3, "ok")


def test_rows_of_other_models_and_labels_are_kept_apart() -> None:
    rows = [row(f"m-seed{n}", n / 10, label=label) for n in range(3) for label in ("PER", "LOC")]
    assert [r["label"] for r in seed_rows(MODEL, [*rows, row("other", 1.0)])] == ["PER", "LOC"]


def test_a_missing_seed_gives_no_mean() -> None:
    assert seed_rows(MODEL, [row("m-seed0", 0.8), row("m-seed1", 0.9)]) == []
    assert seed_rows(ModelConfig(name="m", base="b/c"), [row("m", 0.8)]) == []


def test_an_undefined_number_stays_undefined() -> None:
    (mean,) = seed_rows(MODEL, [row("m-seed0", 0.8), row("m-seed1", None), row("m-seed2", 1.0)])
    assert (mean["value"], mean["std"], mean["status"]) == (None, None, "undefined")
