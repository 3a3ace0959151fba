import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from nerbench.tasks.config import Config
from nerbench.tasks.config.descriptions import field_descriptions


class Parent(BaseModel, use_attribute_docstrings=True):
    """A model whose descriptions pydantic reads as well."""

    one: int = 1
    """A field of the parent,
    on two lines."""
    two: int = 2
    """A field of the parent."""
    three: int = 3
    kind: ClassVar[int] = 4
    """Not a field."""


class Child(Parent):
    """A model with inherited fields."""

    two: int = 5
    """A field of the child."""
    four: int = 6

    def method(self) -> None:
        """Not of a field."""


def test_descriptions_are_those_of_pydantic() -> None:
    for model in (Parent, Child):
        of_pydantic = {name: field.description for name, field in model.model_fields.items() if field.description}
        assert field_descriptions(model) == of_pydantic
    assert field_descriptions(Child)["two"] == "A field of the child."


def test_a_nested_class_does_not_get_the_descriptions_of_a_class_with_its_name() -> None:
    class Outer:
        class Parent(BaseModel):
            one: int = 1

    assert field_descriptions(Outer.Parent) == {}


def test_a_zipped_module_has_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from pydantic import BaseModel\nclass Zipped(BaseModel):\n    one: int = 1\n    'A field.'\n"
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("zipped_module.py", source)
    monkeypatch.syspath_prepend(tmp_path / "code.zip")
    assert field_descriptions(import_module("zipped_module").Zipped) == {"one": "A field."}


def test_the_schema_of_the_configuration_has_descriptions() -> None:
    schema = Config.model_json_schema()
    assert schema["properties"]["store"]["description"] == "The model store: a folder or an fsspec URL."
    described = [schema, *(one for one in schema["$defs"].values() if "properties" in one)]
    assert all(key.get("description") for one in described for key in one["properties"].values())


def test_a_model_without_source_has_no_descriptions() -> None:
    names: dict[str, Any] = {"BaseModel": BaseModel, "__name__": "builtins"}
    exec("class Made(BaseModel):\n    one: int = 1\n    'Never read.'", names)
    assert field_descriptions(names["Made"]) == {}
