"""Names of models to measure, and their meaning."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_client import use_hub
from hub_repo import Repo
from hub_server import FakeHub, running_hub
from sweeping import TINY, tiny
from tiny_models import save_bert, save_masked, save_roberta

from nerbench.artifacts.errors import ArtifactNotFoundError, InputError
from nerbench.artifacts.manifest import Provenance
from nerbench.artifacts.store import Store
from nerbench.tasks.measuring.subjects import find_subjects, located


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Local copies are removed after the test."""
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


def test_a_stored_model_takes_precedence_over_an_architecture_of_its_name(tmp_path: Path) -> None:
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


def test_an_unknown_name_gets_a_list_of_choices() -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"'bert-bse'.*bert-base.*model_type"):
        find_subjects(["bert-bse"], "unused")


def test_a_configuration_reads_as_many_pieces_as_it_has_positions() -> None:
    assert tiny().positions == 64
    assert find_subjects(["roberta-base"], "unused")[0].positions == 512


def test_a_checkpoint_without_a_token_head_is_known_by_its_configuration(tmp_path: Path) -> None:
    save_masked(tmp_path / "masked")
    save_bert(tmp_path / "tagger")
    save_bert(tmp_path / "unnamed")
    config = tmp_path / "unnamed/config.json"
    config.write_text(config.read_text().replace("architectures", "was"))
    found = find_subjects([str(tmp_path / name) for name in ("masked", "tagger", "unnamed")], "unused")
    assert [subject.headless for subject in found] == [True, False, False]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A Hub with a base model under an old name of one part, and one of an organisation."""
    with running_hub() as found:
        use_hub(monkeypatch, found, tmp_path / "home")
        files = {path.name: path.read_bytes() for path in save_masked(tmp_path / "masked").iterdir()}
        for name in ("bert-tiny-uncased", "org/tiny"):
            found.repos[name] = Repo(private=False)
            found.repos[name].commit(files)
        yield found


def test_a_bare_id_of_the_hub_is_a_model_of_the_hub(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = str(tmp_path / "store")
    Store(store).publish(save_bert(tmp_path / "saved"), "mine", Provenance())
    meant = [located(name, store) for name in ("bert-tiny-uncased", "org/tiny")]
    assert meant == [f"hf://{name}@{repo.head}" for name, repo in hub.repos.items()]
    (old, _) = (find_subjects([location], store)[0] for location in meant)
    assert (old.name, old.headless) == ("bert-tiny-uncased", True)
    for same in ("mine", "mine@latest", "*@latest", "bert-base", TINY, "hf://org/tiny", "s3://bucket/model"):
        assert located(same, store) == same
    assert located("./saved", store) == located("masked/", store).replace("masked", "saved") == str(tmp_path / "saved")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bert-bse", r"'bert-bse'.*store.*Hub: cannot be had.*bert-base.*model_type"),
        ("org/nothing", r"'org/nothing'.*is not a folder.*Hub: cannot be had"),
        ("what is this", "is not a location on the Hub"),
    ],
)
def test_an_error_lists_the_searched_places(hub: FakeHub, tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ArtifactNotFoundError, match=says):
        located(name, str(tmp_path / "store"))


@pytest.mark.parametrize(("name", "asked"), [("bert-bse", 1), ("org/tagger", 3)])
def test_without_a_hub_a_wrong_name_is_one_line(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, asked: int
) -> None:
    monkeypatch.setattr("nerbench.artifacts.storage.retries.sleep", lambda seconds: None)
    for _ in range(3):
        hub.fail(f"GET /api/models/{name}", 503)
    hub.requests.clear()
    with pytest.raises(ArtifactNotFoundError, match="the Hub cannot be reached"):
        located(name, str(tmp_path / "store"))
    assert len(hub.requests) == asked
