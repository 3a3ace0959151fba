"""Taggers in the configuration: paths, and one line for each mistake."""

from pathlib import Path

import pytest

from nerbench.artifacts.errors import ConfigError
from nerbench.tasks.config import Config, ModelConfig, TaggerConfig
from nerbench.tasks.config.loading import load_config


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.py", "prompt.txt", "python"):
        (tmp_path / name).write_text("")
    return tmp_path


def load(entry: str) -> Config:
    Path("own.yaml").write_text(f"models:\n  - {{name: base, base: some/model}}\n  - {entry}\n", encoding="utf-8")
    return load_config(Path("own.yaml"))


def test_taggers_are_listed_with_the_models(folder: Path) -> None:
    (folder / "link").symlink_to("python")
    config = load("{name: other, tagger: mine.py:Mine, python: link, files: {prompt: prompt.txt}, label_map: {A: O}}")
    model, tagger = config.models
    assert isinstance(model, ModelConfig)
    assert isinstance(tagger, TaggerConfig)
    assert (config.trained_models, config.taggers) == ((model,), (tagger,))
    assert config.model_names == ("base", "other")
    assert tagger.tagger == f"{folder}/mine.py:Mine"
    assert tagger.python == f"{folder}/link"  # not where it leads: an interpreter of an environment is a link
    assert tagger.files == {"prompt": f"{folder}/prompt.txt"}
    assert Config.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "{name: o, tagger: 'nerbench.taggers:spicy'}",
            r"models\[1\]: tagger nerbench.taggers:spicy is unknown; give one of",
        ),
        ("{name: o, tagger: spacy}", r"models\[1\]: tagger spacy names no class; write"),
        ("{name: o, tagger: 'nerbench.taggers:http'}", r"models\[1\]: .* sends the words .*; add `allow_egress: true`"),
        ("{name: o, tagger: 'mine.py:A', epochs: 3}", r"models\[1\].epochs: unknown key; "),
        (
            "{name: o, tagger: 'mine.py:A', lable_map: {}}",
            r"models\[1\].lable_map: unknown key; did you mean label_map\?",
        ),
        (
            "{name: o, tagger: 'mine.py:A', timeout_s: 0}",
            r"models\[1\].timeout_s: 0 does not fit; give a number greater",
        ),
        ("{name: o, tagger: 7}", r"models\[1\].tagger: 7 is not text; write it in quotes"),
        ("{name: base, tagger: 'mine.py:A'}", "models: the name base is used twice; rename one"),
        ("{name: o, tagger: 'none.py:A'}", r"models\[1\].tagger: there is no file .*none.py"),
        ("{name: o, tagger: 'mine.py:A', python: none}", r"models\[1\].python: there is no file .*none"),
        ("{name: o, tagger: 'mine.py:A', files: {a: none}}", r"models\[1\].files.a: there is no file .*none"),
        (
            "{name: o, tagger: 'mine.py:A', files: {a: mine.py}, options: {a: 1}}",
            r"models\[1\]: a is in both files and",
        ),
        (
            "{name: o, tagger: 'mine.py:A', options: {api_key: sk-1}}",
            r"models\[1\].options.api_key: holds a credential",
        ),
        ("{name: o, base: b, tagger: 'mine.py:A'}", r"models\[1\].base: unknown key"),
        ("{name: o, base: b, epochs: many}", r"models\[1\].epochs: 'many' does not fit; give a number"),
        ("{name: o}", r"models\[1\].base: is missing"),
    ],
)
def test_one_line_for_each_mistake(entry: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(entry)
    assert "sk-1" not in str(caught.value)


def test_prefect_can_show_a_form() -> None:
    """Prefect shows the keys of both."""
    schema = Config.model_json_schema()
    assert {"ModelConfig", "TaggerConfig"} < set(schema["$defs"])
