"""A base may be named as a location on the Hub."""

import pytest
from pydantic import ValidationError

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import ModelConfig


@pytest.mark.parametrize(
    ("given", "base", "revision"),
    [
        ({"base": "hf://org/model@v1"}, "org/model", "v1"),
        ({"base": "hf://org/model"}, "org/model", None),
        ({"base": "hf://org/model", "revision": "v2"}, "org/model", "v2"),
        ({"base": "hf://org/model@v1", "revision": "v1"}, "org/model", "v1"),
        ({"base": "org/model", "revision": "v1"}, "org/model", "v1"),
    ],
)
def test_a_base_on_the_hub(given: dict[str, str], base: str, revision: str | None) -> None:
    model = ModelConfig.model_validate({"name": "m", **given})
    assert (model.base, model.revision) == (base, revision)


def test_two_revisions_are_refused() -> None:
    with pytest.raises(ValidationError, match="base names the revision v1, and revision v2; give one"):
        ModelConfig.model_validate({"name": "m", "base": "hf://org/model@v1", "revision": "v2"})


def test_an_invalid_location() -> None:
    with pytest.raises(InputError, match="write hf://org/model"):
        ModelConfig.model_validate({"name": "m", "base": "hf://org/model/file"})
