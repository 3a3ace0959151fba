"""Configuration files: sources of values, paths, and one line for each mistake."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from prefect.utilities.schema_tools.validation import validate

from nerbench.artifacts.errors import ConfigError
from nerbench.tasks.config import Config
from nerbench.tasks.config.deprecated_keys import warn_deprecated
from nerbench.tasks.config.loading import absolute_reference, expanded_config, load_config
from nerbench.tasks.config.variables import expand_options

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory with `data.txt`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNSET", raising=False)
    monkeypatch.setenv("BASE", "bert-base-uncased")
    monkeypatch.setenv("HF_TOKEN", "geheimes")
    (tmp_path / "data.txt").write_text("a O\n")
    return tmp_path


def load(text: str, *overrides: str) -> Config:
    Path("own.yaml").write_text(text, encoding="utf-8")
    return load_config(Path("own.yaml"), overrides)


def test_the_demonstration_is_the_default(folder: Path) -> None:
    config = load_config(None)
    assert [model.name for model in config.models] == ["tiny-bert", "tiny-bert-1layer"]
    assert config.datasets[0].files["train"] == str(folder / "var/demo/train.txt")
    assert config.store == str(folder / "var/artifacts")
    assert [path.name for path in folder.iterdir()] == ["data.txt"]


def test_a_file_in_the_working_directory_replaces_the_demonstration(folder: Path) -> None:
    (folder / "nerbench.yaml").write_text("store: s3://bucket/models\n")
    config = load_config(None)
    assert config.store == "s3://bucket/models"
    assert config.models == ()


def test_a_mapping_counts_like_a_file_with_its_content(folder: Path) -> None:
    given = {"store": "./${BASE}", "datasets": [{"name": "own", "files": {"test": Path("data.txt").as_posix()}}]}
    before = json.dumps(given)
    found = load_config(given, ["datasets.0.name=other"])
    assert found == load(yaml.safe_dump(given), "datasets.0.name=other")
    assert (found.store, found.datasets[0].name) == (str(folder / "bert-base-uncased"), "other")
    assert json.dumps(given) == before
    with pytest.raises(ConfigError, match="stores"):
        load_config({"stores": "x"})


def test_flags_take_precedence_over_file_and_overrides() -> None:
    Path("own.yaml").write_text("store: a\nresults: b\n")
    config = load_config(Path("own.yaml"), ["store=c"], store="memory://d", results="memory://e")
    assert (config.store, config.results) == ("memory://d", "memory://e")


@pytest.mark.parametrize("name", ["models.0.epochs", "models[0].epochs"])
def test_an_override_reaches_into_lists(name: str) -> None:
    assert load("models: [{name: a, base: b}]", f"{name}=1.5").models[0].epochs == 1.5


def test_an_override_is_yaml_and_makes_missing_sections() -> None:
    config = load("store: x", "benchmark.labels=[PER, LOC]", "benchmark.speed=false")
    assert config.benchmark.labels == ("PER", "LOC")
    assert config.benchmark.speed is False


def test_an_overridden_variable_need_not_be_set() -> None:
    assert load('models: [{name: a, base: "${UNSET}"}]', "models.0.base=b").models[0].base == "b"


def test_an_override_changes_one_place_of_a_shared_value() -> None:
    text = "models:\n- {name: a, base: x, config_overrides: &o {layers: 6}}\n- {name: b, base: x, config_overrides: *o}"
    config = load(text, "models.0.config_overrides.layers=3")
    assert [model.config_overrides["layers"] for model in config.models] == [3, 6]


def test_merge_keys_work_and_explicit_keys_take_precedence() -> None:
    text = "models:\n- &m {name: a, base: x, epochs: 2, seed: 7}\n- {<<: *m, name: b, epochs: 5}"
    assert [(m.name, m.epochs, m.seed) for m in load(text).models] == [("a", 2, 7), ("b", 5, 7)]


def test_variables_are_expanded_anywhere_in_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHS", "7")
    config = load('store: "memory://$${BASE}/${BASE}"\nmodels: [{name: a, base: "${BASE}", epochs: "${EPOCHS}"}]')
    assert config.store == "memory://${BASE}/bert-base-uncased"
    assert config.models[0].epochs == 7


def test_options_keep_their_variables_until_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted-token")
    options = {"token": "${PLANTED_TOKEN}", "nested": [{"text": "$${x} ${BASE}"}]}
    config = load(f"dataset: {{name: a, loader: 'm:f', options: {options}}}")
    assert config.datasets[0].options == options
    assert expand_options(options) == {"token": "planted-token", "nested": [{"text": "${x} bert-base-uncased"}]}
    with pytest.raises(ConfigError, match=r"dataset.options.token: the environment variable UNSET is not set"):
        load("dataset: {name: a, loader: 'm:f', options: {token: '${UNSET}'}}")


def test_a_location_is_recorded_as_it_was_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", str(folder))
    config = load(
        'results: "${PLACE}/r"\ndataset: {name: a, files: {test: "${PLACE}/data.txt"}}\n'
        'models: [{name: a, base: "${BASE}", epochs: 3}]'
    )
    assert config.datasets[0].files["test"] == f"{folder}/data.txt"
    written = config.model_copy(update={"store": "/x"}).as_written()
    assert written["datasets"][0]["files"]["test"] == "${PLACE}/data.txt"
    assert (written["results"], written["store"]) == ("${PLACE}/r", "/x")
    assert written["models"][0]["base"] == "${BASE}"
    assert config.model_copy(update={"results": "/y"}).as_written()["results"] == "/y", "it is another one now"


def test_an_exponent_without_a_point_is_a_number() -> None:
    assert load("models: [{name: a, base: b, learning_rate: 5e-5}]").models[0].learning_rate == 5e-5


def test_a_single_data_set_needs_no_list(folder: Path) -> None:
    config = load("dataset: {name: a, files: {test: data.txt}}")
    assert config.datasets[0].files == {"test": str(folder / "data.txt")}


def test_only_relative_paths_become_absolute(folder: Path) -> None:
    (folder / "encoder").mkdir()
    (folder / "saved").mkdir()
    config = load(
        "datasets: [{name: a, files: {test: data.txt}}, {name: h, format: hub, path: org/corpus}]\n"
        "golds: [{name: g, dataset: a, file: ./data.txt}]\n"
        "models: [{name: a, base: encoder}, {name: b, base: org/model}, {name: c, base: bert-base-uncased}]\n"
        'benchmark: {models: ["./saved", "*@latest", "a@champion", "hf://org/model"]}'
    )
    assert config.golds[0].file == str(folder / "data.txt")
    assert config.datasets[1].path == "org/corpus"
    assert [model.base for model in config.models] == [str(folder / "encoder"), "org/model", "bert-base-uncased"]
    assert config.benchmark.models == (str(folder / "saved"), "*@latest", "a@champion", "hf://org/model")


def test_a_reference_with_a_slash_is_a_location(folder: Path) -> None:
    assert absolute_reference("a/b") == str(folder / "a/b")
    assert absolute_reference("a@sha256:12") == "a@sha256:12"
    assert absolute_reference("s3://a/b") == "s3://a/b"


def test_the_home_folder_is_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert load("store: ~/models").store == "/home/ada/models"


@pytest.mark.usefixtures("shared")
def test_the_local_conllpp_configuration_loads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MINILM", str(folder))
    config = load_config(Path("deployments/conllpp-local.yaml"))
    assert [model.name for model in config.models] == ["minilm-l6", "minilm-l3"]
    assert {model.base for model in config.models} == {str(folder)}


def test_the_hub_configuration_loads() -> None:
    config = load_config(ROOT / "deployments" / "conllpp.yaml")
    assert [model.base for model in config.models] == ["bert-base-uncased", "distilbert-base-uncased"]


class Wrong(NamedTuple):
    """A configuration that cannot be used."""

    text: str
    field: str
    """The beginning of the line."""
    says: tuple[str, ...]
    """Parts of the line: problem and remedy."""
    overrides: tuple[str, ...] = ()


MODEL = "models: [{name: a, base: b, %s}]"
WRONG = {
    "YAML that does not end": Wrong("store: [", "own.yaml:1", ("is not YAML",)),
    "a key twice": Wrong("store: a\nstore: b", "own.yaml:2", ("store", "twice")),
    "a nested key twice": Wrong("benchmark:\n  speed: no\n  speed: yes", "own.yaml:3", ("speed", "twice")),
    "a control character": Wrong("store: \x07", "own.yaml", ("characters", "plain text")),
    "an impossible date": Wrong("store: 2024-13-45", "own.yaml", ("month", "quotes")),
    "endless nesting": Wrong("[" * 400 + "]" * 400, "own.yaml", ("nested", "flat")),
    "a value that holds itself": Wrong("store: &a [*a]", "own.yaml", ("endlessly",)),
    "an alias bomb": Wrong(
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "own.yaml",
        ("endlessly",),
    ),
    "a list": Wrong("- store", "own.yaml", ("a list", "store: ./var/artifacts")),
    "a number": Wrong("3", "own.yaml", ("a single value",)),
    "an unknown key": Wrong("stoer: x", "stoer", ("unknown key", "did you mean store?")),
    "a key that is like none": Wrong("x: 1", "x", ("unknown key", "known keys: store, results")),
    "a key in the wrong place": Wrong("epochs: 3", "epochs", ("unknown key", "it belongs under models")),
    "a key that is a number": Wrong("1: x", "configuration", ("key 1", "quotes")),
    "a misspelt required key": Wrong("models: [{nmae: a, base: b}]", "models[0].nmae", ("did you mean name?",)),
    "a missing key": Wrong("models: [{name: a}]", "models[0].base", ("is missing", "add it")),
    "a section without content": Wrong("benchmark:", "benchmark", ("no value", "keys with values")),
    "a list for a section": Wrong("benchmark: []", "benchmark", ("a list", "keys with values")),
    "a section for a list": Wrong("models: {name: a}", "models", ("a mapping", "write a list")),
    "a list for text": Wrong("store: [a]", "store", ("a list", "give text")),
    "no text": Wrong("store: ''", "store", ("''", "give some text")),
    "a number for text": Wrong(MODEL % "revision: 12", "models[0].revision", ("12", "quotes")),
    "a date for a name": Wrong("models: [{name: 2024-02-01, base: b}]", "models[0].name", ("2024-02-01", "quotes")),
    "a name with a slash": Wrong("models: [{name: a/b, base: b}]", "models[0].name", ("'a/b'", "letters")),
    "text for a number": Wrong(MODEL % "epochs: many", "models[0].epochs", ("'many'", "a number")),
    "true for a number": Wrong(MODEL % "seed: true", "models[0].seed", ("true", "a number")),
    "a fraction for a whole number": Wrong(MODEL % "seed: 1.5", "models[0].seed", ("1.5", "whole")),
    "too small": Wrong(MODEL % "batch_tokens: 7", "models[0].batch_tokens", ("7", "8 or more")),
    "zero": Wrong(MODEL % "epochs: 0", "models[0].epochs", ("0", "greater than 0")),
    "too large": Wrong(MODEL % "warmup: 1", "models[0].warmup", ("1", "less than 1")),
    "infinity": Wrong(MODEL % "epochs: .inf", "models[0].epochs", ("inf", "finite")),
    "not a number": Wrong(MODEL % "learning_rate: .nan", "models[0].learning_rate", ("nan",)),
    "neither true nor false": Wrong("benchmark: {speed: maybe}", "benchmark.speed", ("'maybe'", "true or false")),
    "none of the choices": Wrong(
        "benchmark: {aggregation_strategy: last}", "benchmark.aggregation_strategy", ("'last'", "first, average or max")
    ),
    "no list of labels": Wrong("benchmark: {labels: PER}", "benchmark.labels", ("'PER'", "all", "write a list")),
    "a label that is a number": Wrong("benchmark: {labels: [PER, 1]}", "benchmark.labels[1]", ("1", "quotes")),
    "a base that is a number": Wrong("models: [{name: a, base: 3}]", "models[0].base", ("3", "quotes", "keys")),
    "a base without a type": Wrong("models: [{name: a, base: {hidden_size: 8}}]", "models[0].base", ("model_type",)),
    "an unknown split": Wrong(
        "datasets: [{name: a, files: {dev: data.txt}}]", "datasets[0].files.dev", ("'dev'", "validation")
    ),
    "an unknown format": Wrong("dataset: {name: a, format: xml}", "dataset.format", ("'xml'", "conll")),
    "an unknown key of a lone data set": Wrong("dataset: {name: a, fiels: x}", "dataset.fiels", ("files?",)),
    "data sets twice": Wrong("dataset: {name: a}\ndatasets: []", "dataset", ("combined with datasets", "list")),
    "an unknown encoding": Wrong(
        "datasets: [{name: a, files: {test: data.txt}, encoding: klingon}]",
        "datasets[0].encoding",
        ("klingon", "utf-8"),
    ),
    "a missing file": Wrong(
        "datasets: [{name: a, files: {test: no.txt}}]", "datasets[0].files.test", ("no.txt", "working directory")
    ),
    "a folder for a file": Wrong("datasets: [{name: a, files: {test: .}}]", "datasets[0].files.test", ("a folder",)),
    "a missing gold": Wrong(
        "datasets: [{name: a, files: {test: data.txt}}]\ngolds: [{name: g, dataset: a, file: no.txt}]",
        "golds[0].file",
        ("no.txt",),
    ),
    "a gold of nothing": Wrong("golds: [{name: g, dataset: a, file: data.txt}]", "golds", ("g annotates a", "add")),
    "a missing base": Wrong("models: [{name: a, base: ./no}]", "models[0].base", ("/no", "save_pretrained")),
    "a deep base": Wrong("models: [{name: a, base: a/b/c}]", "models[0].base", ("/a/b/c", "Hub id")),
    "a missing corpus folder": Wrong(
        "datasets: [{name: a, format: hub, path: ./no}]", "datasets[0].path", ("/no", "of the Hub")
    ),
    "a missing folder of BRAT": Wrong(
        "datasets: [{name: a, format: brat, files: {test: ./no}}]", "datasets[0].files.test", ("/no", ".ann")
    ),
    "a missing model folder": Wrong("benchmark: {models: [b, ./no]}", "benchmark.models[1]", ("/no", "hf://")),
    "a home of nobody": Wrong("store: ~no-such-user/x", "~no-such-user/x", ("home folder",)),
    "a name twice": Wrong("models: [{name: a, base: b}, {name: a, base: c}]", "models", ("a is used twice", "rename")),
    "a tracker twice": Wrong("track: [mlflow, wandb, mlflow]", "track", ("mlflow is named twice", "once")),
    "an unset variable": Wrong('store: "x/${UNSET}"', "store", ("UNSET is not set", "export UNSET=…")),
    "an unset variable in a list": Wrong('benchmark: {models: ["${UNSET}"]}', "benchmark.models[0]", ("UNSET",)),
    "a credential in a location": Wrong(
        'store: "s3://x/${HF_TOKEN}"', "store", ("${HF_TOKEN}", "credential", "options")
    ),
    "a password in a corpus's URL": Wrong(
        "dataset: {name: a, files: {test: 'https://me:geheim@host/x'}}",
        "datasets[0].files.test",
        ("user information", "environment"),
    ),
    "a signature in a corpus's URL": Wrong(
        "dataset: {name: a, files: {test: 'https://host/x?X-Amz-Signature=geheim'}}",
        "datasets[0].files.test",
        ("X-Amz-Signature",),
    ),
    "a base with a token": Wrong(
        "models: [{name: a, base: 'https://host/m?token=geheim'}]", "models[0].base", ("token",)
    ),
    "a password in options": Wrong(
        "dataset: {name: a, loader: 'm:f', options: {storage: {password: geheim}}}",
        "datasets[0].options.storage.password",
        ("credential", "${NAME}"),
    ),
    "an open variable": Wrong('store: "${BASE"', "store", ("${BASE", "$${")),
    "no variable's name": Wrong('store: "${A B}"', "store", ("${A B", "$${")),
    "several mistakes": Wrong(MODEL % "epochs: 0, seed: -1", "models[0].epochs", ("(and 1 more)",)),
    "an override that is none": Wrong("store: x", "--set epochs", ("KEY=VALUE",), ("epochs",)),
    "an override of no key": Wrong("store: x", "--set a..b", ("KEY=VALUE",), ("a..b=1",)),
    "an override that is no YAML": Wrong("store: x", "--set store", ("'['", "quote it"), ("store=[",)),
    "an override of nothing": Wrong(
        MODEL % "", "--set models.7.seed", ("'7'", "among its 1", "from 0"), ("models.7.seed=1",)
    ),
    "an override below text": Wrong("store: x", "--set store.y", ("'y'",), ("store.y=1",)),
    "an override of an unknown key": Wrong("store: x", "benchmark.sped", ("speed?",), ("benchmark.sped=1",)),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_mistake_is_one_line_with_field_problem_and_remedy(wrong: Wrong, folder: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(wrong.text, *wrong.overrides)
    line = str(raised.value)
    assert "\n" not in line
    assert line.startswith(f"{wrong.field}: ")
    assert "; " in line
    assert len(line) < 400
    for part in wrong.says:
        assert part in line
    assert {path.name for path in folder.iterdir()} == {"data.txt", "own.yaml"}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "there is no file"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.write_bytes(b"store: \xe9"), "not UTF-8"),
        (lambda path: path.symlink_to(path), "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(make: Callable[[Path], object], says: str) -> None:
    make(Path("own.yaml"))
    with pytest.raises(ConfigError, match=f"^configuration: .*{says}"):
        load_config(Path("own.yaml"))


@pytest.mark.parametrize(
    "text",
    [
        "hub_token: hunter2",
        "models: [{name: a, base: b, api_key: hunter2}]",
        "models: [{name: a, base: {model_type: 1, token: hunter2}}]",
        "store: [s3://me:hunter2@host]",
        "benchmark: {device: {password: hunter2}}",
        "benchmark: {aggregation_strategy: s3://me:hunter2@host/x}",
    ],
)
def test_secrets_are_not_printed(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(text)
    assert "hunter2" not in str(raised.value)


def test_secrets_of_overrides_are_not_printed() -> None:
    with pytest.raises(ConfigError) as raised:
        load("store: x", "hub.token=[hunter2")
    assert "hunter2" not in str(raised.value)


@pytest.fixture
def renamed(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log of a process without earlier warnings."""
    warn_deprecated.cache_clear()
    return caplog


def test_deprecated_keys_work_with_one_warning(renamed: pytest.LogCaptureFixture) -> None:
    text = "benchmark: {precision: bf16}\nspeed: {precisions: [fp32, bf16]}"
    for config in (load(text), load("store: x", "benchmark.precision=bf16", "speed.precisions=[fp32, bf16]")):
        assert (config.benchmark.dtype, config.speed.dtypes) == ("bf16", ("fp32", "bf16"))
        assert not {"precision", "precisions"} & {*config.model_dump()["benchmark"], *config.model_dump()["speed"]}
    assert [record.getMessage() for record in renamed.records] == [
        "benchmark.precision is deprecated: write dtype",
        "speed.precisions is deprecated: write dtypes",
    ]


def test_deprecated_keys_and_values_mean_the_current_ones(renamed: pytest.LogCaptureFixture) -> None:
    old = (
        "benchmark: {vote: mean, window: 64, frozen: false}\n"
        "speed: {gate: {nights: 14}}\ngate: {strict: true}\n"
        "dataset: {name: own, files: {train: a.txt}}\nmodels: [{name: m, base: b, window: 32}]"
    )
    new = (
        "benchmark: {aggregation_strategy: average, max_length: 64, check_reproducibility: false}\n"
        "speed: {gate: {runs: 14}}\ngate: {on_undecided: fail}\n"
        "dataset: {name: own, files: {train: a.txt}}\nmodels: [{name: m, base: b, max_length: 32}]"
    )
    for _ in range(2):
        assert expanded_config(yaml.safe_load(old)) == expanded_config(yaml.safe_load(new))
        assert Config.model_validate(yaml.safe_load(old)) == Config.model_validate(yaml.safe_load(new))
    assert sorted(record.getMessage() for record in renamed.records) == [
        "benchmark.aggregation_strategy: mean is deprecated: write average",
        "benchmark.frozen is deprecated: write check_reproducibility",
        "benchmark.vote is deprecated: write aggregation_strategy",
        "benchmark.window is deprecated: write max_length",
        "gate.strict is deprecated: write on_undecided: fail",
        "models.window is deprecated: write max_length",
        "speed.gate.nights is deprecated: write runs",
    ]


def test_prefect_passes_deprecated_keys_and_short_forms_on() -> None:
    schema = {"title": "Parameters", "type": "object", "properties": {"config": Config.model_json_schema()}}
    schema |= {"definitions": schema["properties"]["config"].pop("$defs")}
    text = json.dumps(schema).replace("#/$defs/", "#/definitions/")
    for section in (
        {"benchmark": {"vote": "mean", "window": 64, "frozen": False, "precision": "fp32"}},
        {"speed": {"gate": {"nights": 14}, "precisions": ["fp32"]}},
        {"gate": {"strict": True}},
        {"track": "mlflow"},
        {"track": ["mlflow", "trackio"]},
        {"track": None},
        {"runner": "processes"},
        {"dataset": {"name": "news", "files": {"test": "test.txt"}}},
        {"dataset": {"name": "news", "loader": "corpora:news"}},
        {"dataset": {"name": "news", "files": {"all": "all.txt"}, "split": {"train": "80%", "test": "rest"}}},
        {"models": [{"name": "tagger", "base": "hf://org/model@main", "window": 64}]},
    ):
        assert not validate({"config": section}, json.loads(text)), section
        assert Config.model_validate(section)
    assert validate({"config": {"stores": "x"}}, json.loads(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("benchmark: {precision: bf16, dtype: fp32}", "precision and dtype are the same key; leave precision out"),
        ("speed: {precisions: [bf16], dtypes: [fp32]}", "precisions and dtypes are the same key; leave precisions out"),
        ("benchmark: {precision: fp8}", "benchmark.precision: 'fp8'"),
        ("benchmark: {vote: last}", "benchmark.vote: 'last'"),
        ("benchmark: {vote: [mean]}", "benchmark.vote: a list"),
        ("speed: {gate: {nights: 2}}", "speed.gate.nights: 2"),
    ],
)
def test_a_key_is_given_once_and_checked_under_its_new_name(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(text)
