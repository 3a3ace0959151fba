"""What may be named to be measured, and what each name means."""

from pathlib import Path

import pytest
from sweeping import TINY, tiny
from tiny_models import save_bert, save_roberta

from nerbench.artifacts.errors import ArtifactNotFoundError, InputError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.tasks.measuring.subjects import find_subjects


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local copies go with the test."""
    monkeypatch.setenv("NERBENCH_CACHE", str(tmp_path / "cache"))


def names(models: list[str], store: Path | str = "unused") -> list[str]:
    return [subject.name for subject in find_subjects(models, str(store))]


def test_a_stored_model_a_folder_and_a_configuration_at_once(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "saved", positions=48)
    Store(str(tmp_path / "store")).publish(folder, "mine", Provenance())
    roberta = save_roberta(tmp_path / "roberta", positions=34)
    found = find_subjects(["mine", str(roberta), TINY], str(tmp_path / "store"))
    assert [subject.name for subject in found] == ["mine", "roberta", "bert-L1-H32-e71cab"]
    assert [subject.positions for subject in found] == [48, 32, 64]
    assert [subject.artifact is None for subject in found] == [False, False, True]
    assert len({subject.artifact_id for subject in found}) == 3


def test_the_same_model_twice_is_one(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "saved")
    Store(str(tmp_path / "store")).publish(folder, "mine", Provenance())
    assert names(["mine", "mine@latest", "*@latest"], tmp_path / "store") == ["mine"]
    assert names(["bert-base", "{model_type: bert}"]) == ["bert-base"]


def test_a_stored_model_goes_before_an_architecture_of_its_name(tmp_path: Path) -> None:
    Store(str(tmp_path)).publish(save_bert(tmp_path / "saved"), "bert-base", Provenance())
    (found,) = find_subjects(["bert-base"], str(tmp_path))
    assert found.artifact is not None


def test_a_configuration_is_yaml_or_json_and_may_have_a_name() -> None:
    (yaml,) = find_subjects(['{model_type: "bert", num_hidden_layers: 6, name: bert-6-lay}'], "unused")
    (json,) = find_subjects(['{"num_hidden_layers": 6, "model_type": "bert"}'], "unused")
    assert (yaml.name, json.name) == ("bert-6-lay", "bert-L6-H768")
    assert yaml.artifact_id == json.artifact_id
    assert yaml.settings == {"model_type": "bert", "num_hidden_layers": 6}


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("{num_hidden_layers: 6}", "has no model_type"),
        ("{model_type: bertt}", "bertt"),
        ("{model_type: bert, hidden: 6}", "no setting hidden"),
        ("{model_type: bert, hidden_size: 100}", "multiple"),
        ("{model_type: bert", "is not YAML"),
        ("{}", "has no model_type"),
    ],
)
def test_a_wrong_configuration_is_a_wrong_request(model: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        find_subjects([model], "unused")


def test_an_unknown_name_is_told_what_there_is() -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"'bert-bse'.*bert-base.*model_type"):
        find_subjects(["bert-bse"], "unused")


def test_a_configuration_reads_as_many_pieces_as_it_has_positions() -> None:
    assert tiny().positions == 64
    assert find_subjects(["roberta-base"], "unused")[0].positions == 512
