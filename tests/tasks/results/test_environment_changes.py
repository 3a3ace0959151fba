"""Differences between the settings and machines of two runs."""

import json
from typing import Any

import pytest

from nerbench.artifacts.tables.schemas import TABLES
from nerbench.tasks.config import BenchmarkConfig, Config
from nerbench.tasks.environment import environment
from nerbench.tasks.results.environment_changes import COLUMNS, SETTINGS, difference, same_settings


def run(run_id: str = "one", benchmark: dict[str, Any] | None = None, **columns: Any) -> dict[str, Any]:
    configuration = Config.model_validate({"benchmark": benchmark or {}}).model_dump(mode="json")
    known = {"cpu": "fast", "cpu_flags": "avx avx2 bf16", "torch": "2.13.0", "gpu": None}
    return {"run_id": run_id, "configuration": json.dumps(configuration), **known, **columns}


def test_equal_runs_have_no_differences() -> None:
    assert difference(run(), run("two"), "fp32", "fp32") == {}
    assert same_settings(run(), run("two"), "fp32", "fp32")


def test_only_differences_are_reported() -> None:
    other = run("two", {"aggregation_strategy": "average"}, torch="2.14.0", gpu="H200", cpu_flags="avx avx2 amx avx512")
    assert difference(run(), other, "fp32", "bf16") == {
        "dtype": {"base": "fp32", "candidate": "bf16"},
        "gpu": {"base": None, "candidate": "H200"},
        "torch": {"base": "2.13.0", "candidate": "2.14.0"},
        "cpu_flags": {"base": "bf16", "candidate": "amx avx512"},
        "aggregation_strategy": {"base": "first", "candidate": "average"},
    }


def test_flags_of_one_run_only_are_shown_completely() -> None:
    found = difference(run(cpu_flags=None), run(), "fp32", "fp32")
    assert found == {"cpu_flags": {"base": None, "candidate": "avx avx2 bf16"}}


def test_a_run_without_a_row_is_reported() -> None:
    assert difference(None, run("two"), "fp32", "fp32") == {"run": {"base": "unknown", "candidate": "two"}}
    assert difference(None, None, "fp32", "bf16") == {
        "dtype": {"base": "fp32", "candidate": "bf16"},
        "run": {"base": "unknown", "candidate": "unknown"},
    }
    assert not same_settings(None, run(), "fp32", "fp32")
    assert not same_settings(run(), None, "fp32", "fp32")


@pytest.mark.parametrize(
    "changed",
    [
        {"max_length": 64},
        {"aggregation_strategy": "max"},
        {"label_map": {"PERSON": "PER"}},
        {"ignore_labels": ["MISC"]},
        {"labels_of": {"m": ["O", "B-PER"]}},
        {"backend": "openvino"},
    ],
)
def test_settings_that_can_change_a_tag_count(changed: dict[str, Any]) -> None:
    assert not same_settings(run(), run("two", changed), "fp32", "fp32")
    assert set(difference(run(), run("two", changed), "fp32", "fp32")) == set(changed)


def test_other_settings_do_not_count() -> None:
    other = run("two", {"device": "cpu", "speed": False, "text": "drop", "labels": ["PER"], "refresh": True})
    assert same_settings(run(), other, "fp32", "fp32")
    assert not same_settings(run(), other, "fp32", "bf16")


def test_a_setting_that_an_older_run_did_not_know_had_its_default() -> None:
    older = run()
    configuration = json.loads(older["configuration"])
    del configuration["benchmark"]["aggregation_strategy"]
    older["configuration"] = json.dumps(configuration)
    assert same_settings(older, run("two"), "fp32", "fp32")
    assert not same_settings(older, run("two", {"aggregation_strategy": "max"}), "fp32", "fp32")


def test_every_recorded_column_is_compared() -> None:
    recorded = set(environment())
    assert recorded == {*COLUMNS, "cpu_flags"}
    assert recorded <= {column.name for column in TABLES["runs"].columns}
    assert set(SETTINGS) <= set(BenchmarkConfig.model_fields)
