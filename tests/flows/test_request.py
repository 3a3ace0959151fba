"""The configuration that a flow is asked to work by."""

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


def test_a_whole_configuration_is_taken_as_it_is() -> None:
    config = Config(store="somewhere")
    assert configuration(config, ()) is config


def test_none_means_the_file_of_the_folder_and_its_paths_start_there(folder: Path) -> None:
    write(folder / "nerbench.yaml", store="models")
    assert configuration(None, ()).store == str(folder / "models")


def test_a_named_file_is_read_anew_each_time(folder: Path) -> None:
    for store in ("/first", "/second"):
        write(folder / "other.yaml", store=store)
        assert configuration("other.yaml", ()).store == store


@pytest.mark.parametrize("request_", [None, "nowhere.yaml"])
def test_a_file_that_is_not_there_is_never_the_demonstration(folder: Path, request_: str | None) -> None:
    name = request_ or "nerbench.yaml"
    with pytest.raises(InputError, match=rf"config: there is no file {name} in {folder}; start the worker"):
        configuration(request_, ())


def test_only_what_is_needed_has_to_be_there(folder: Path) -> None:
    write(folder / "nerbench.yaml", models=[{"name": "tiny", "base": "${NO_SUCH_VARIABLE}"}])
    assert configuration(None, ("datasets",)).models[0].name == "tiny"
    with pytest.raises(ConfigError, match="NO_SUCH_VARIABLE is not set"):
        configuration(None, ("models",))
