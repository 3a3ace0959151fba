"""Numbers and truth values have the types that Prefect requires of parameters; only variables are text."""

import json
from typing import Any

import jsonschema
import pytest

from nerbench.artifacts.errors import ConfigError
from nerbench.tasks.config import Config
from nerbench.tasks.config.loading import expanded_config


def data(**values: Any) -> dict[str, Any]:
    """A configuration with these keys of a model."""
    return {"models": [{"name": "a", "base": "b", **values}]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": "2"}, "models[0].epochs: '2' does not fit; write it without quotes"),
        ({"learning_rate": "3.0e-4"}, "models[0].learning_rate: '3.0e-4' does not fit; write it without quotes"),
        ({"time_limit_s": " 60 "}, "models[0].time_limit_s: ' 60 ' does not fit; write it without quotes"),
        ({"epochs": "two"}, "models[0].epochs: 'two' does not fit; give a number"),
        ({"epochs": True}, "models[0].epochs: true is not a number; give a number"),
        ({"early_stopping": "1"}, "models[0].early_stopping: '1' does not fit; write it without quotes"),
        ({"push_to_hub": "yes"}, "models[0].push_to_hub: 'yes' does not fit; give true or false"),
        ({"push_to_hub": 1}, "models[0].push_to_hub: 1 does not fit; give true or false"),
        ({"seeds": [0, "1"]}, "models[0].seeds: a list does not fit; write it without quotes"),
    ],
)
def test_text_is_neither_a_number_nor_a_truth_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        expanded_config(data(**values))
    assert str(raised.value) == message
    schema = Config.model_json_schema()
    with pytest.raises(jsonschema.ValidationError):  # so does Prefect's server
        jsonschema.validate(json.loads(json.dumps(data(**values))), schema)


def test_a_variable_can_be_any_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHS", "2")
    monkeypatch.setenv("PUSH", "true")
    (model,) = expanded_config(
        data(epochs="${EPOCHS}", push_to_hub="${PUSH}", hub_model_id="acme/tagger", name="m${EPOCHS}")
    ).models
    assert (model.epochs, model.push_to_hub, model.name) == (2, True, "m2")
    assert type(model.name) is str
