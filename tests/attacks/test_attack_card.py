"""Model cards show hostile names, texts and folders literally."""

import re
from pathlib import Path

import pytest
import yaml
from publishing_rows import TRAINED, metric, write_metrics

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.store import Store
from nerbench.tasks.config import CardConfig, Config
from nerbench.tasks.publishing.card import BEGIN, END, merge, render_card

pytestmark = pytest.mark.attacks
HOSTILE = [
    "mit\n---\n# evil\n<script>alert(1)</script>",
    "!!python/object/apply:os.system [id]",
    "&a [*a, *a]",
    "{license: evil}",
    "\u202e\u2066evil\x1b[31m\x00\x85\u2028",
    "www.evil.example/x",
    "ftp://evil.example mailto:a@evil.example",
    "[x](javascript:alert(1))",
    "![x](//evil.example/x.png)",
    f"x\n{END}\n{BEGIN}",
    "=cmd|' /c calc'!A1",
    "$\\href{javascript:alert(1)}{x}$",
    "`` ` ``<b>",
    "yes",
    "2026-01-01",
]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(store=str(tmp_path / "store"), results=str(tmp_path / "results"))


@pytest.fixture
def ref(config: Config, tiny_model_folder: Path) -> ArtifactRef:
    return Store(config.store).publish(tiny_model_folder, "tagger", TRAINED)


def harmless(card: str) -> None:
    """Raise if the text below the metadata contains markup that is not in the template."""
    body = card.partition("\n---\n")[2]
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", body, flags=re.DOTALL)
    assert re.findall(r"<(?!!-- nerbench:)", prose) == []
    assert re.findall(r"(?<!\\)\]\(|(?<![\w.])www\.|\w://", prose) == []
    assert len(re.findall(r"^# ", body, re.MULTILINE)) == 1
    assert all(letter.isprintable() or letter == "\n" for letter in body)
    assert len(re.findall(r"^<!-- nerbench:(?:begin|end)\b", card, re.MULTILINE)) == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_data_is_literal_in_a_card(config: Config, ref: ArtifactRef, text: str) -> None:
    about = CardConfig(license=text, language=(text,), base_model=text, datasets=(text,))
    whole = dict.fromkeys(("dataset", "gold", "split"), text)
    rows = [
        metric(0.5, **whole),
        metric(0.4, **whole, label=text, average=""),
        metric(0.3, **whole, slice=text),
        metric(None, **whole, label="x", average="", reason=text),
        metric(0.5, gold=text, split="test"),
    ]
    write_metrics(config, ref, rows)
    card = render_card(ref, config.model_copy(update={"card": about}), "acme/tagger").text
    harmless(card)
    data = yaml.safe_load(card.split("\n---\n")[0])
    found = [data[name] for name in ("license", "base_model")] + data["language"] + data["datasets"]
    assert found == [about.license, about.base_model, *about.language, *about.datasets]
    assert data["library_name"] == "transformers"
    harmless(merge(card, card.replace("# tagger", "# Of a user")))


def test_a_folder_without_a_date_is_not_in_a_card(config: Config, ref: ArtifactRef) -> None:
    write_metrics(config, ref, [metric(0.5)])
    (written,) = Path(config.results).glob("metrics/*/date=*")
    written.rename(written.with_name("date=9<img src=x onerror=alert(1)>"))
    with pytest.raises(CorruptArtifactError, match="date=9<img"):
        render_card(ref, config, "acme/tagger")
