"""The configuration that a flow uses."""

from pathlib import Path

import pytest
import yaml

from nerbench.artifacts.errors import ConfigError, InputError
from nerbench.flows.request import configuration
from nerbench.tasks.config import Config


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where a worker was started."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, **data: object) -> None:
    path.write_text(yaml.safe_dump(data))


def test_a_complete_configuration_is_not_changed() -> None:
    config = Config(store="somewhere")
    assert configuration(config, ()) is config


def test_none_means_the_file_in_the_folder_and_its_paths_are_relative_to_it(folder: Path) -> None:
    write(folder / "nerbench.yaml", store="models")
    assert configuration(None, ()).store == str(folder / "models")


def test_a_named_file_is_read_at_each_call(folder: Path) -> None:
    for store in ("/first", "/second"):
        write(folder / "other.yaml", store=store)
        assert configuration("other.yaml", ()).store == store


@pytest.mark.parametrize("request_", [None, "nowhere.yaml"])
def test_a_missing_file_never_means_the_demonstration(folder: Path, request_: str | None) -> None:
    name = request_ or "nerbench.yaml"
    with pytest.raises(InputError, match=rf"config: there is no file {name} in {folder}; start the worker"):
        configuration(request_, ())


def test_only_needed_sections_must_be_valid(folder: Path) -> None:
    write(folder / "nerbench.yaml", models=[{"name": "tiny", "base": "${NO_SUCH_VARIABLE}"}])
    assert configuration(None, ("datasets",)).models[0].name == "tiny"
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE is not set"):
        configuration(None, ("models",))
