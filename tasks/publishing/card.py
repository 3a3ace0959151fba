"""The model card of an artifact: metadata for the Hub, and the sections that `card.md.jinja` joins.

Text outside of nerbench's two marks in a card, and metadata that nerbench does not write, belong to the user.
"""

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from nerbench.artifacts.errors import ConfigError
from nerbench.artifacts.manifest import ArtifactRef, Manifest
from nerbench.artifacts.references import load_manifest, tensors_of
from nerbench.tasks.config import CardConfig, Config
from nerbench.tasks.config.schema_base import MODES
from nerbench.tasks.config.yaml_file import parse_mapping
from nerbench.tasks.publishing import card_from_manifest
from nerbench.tasks.publishing.card_evidence import AnnotationScores, Evidence, find_evidence
from nerbench.tasks.publishing.markdown_escaping import line
from nerbench.tasks.scoring.metrics import Row

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, EvalResultEntry, ModelCardData


BEGIN = "<!-- nerbench:begin; each publication replaces the text between these marks -->"
END = "<!-- nerbench:end -->"
# A mark is a line of its own. Text from data is always inside of a line, so it can never be a mark.
_MARK = re.compile(r"^<!-- nerbench:(begin|end)\b[^\n]*-->[ \t]*\r?$", re.MULTILINE)


class _Parts(NamedTuple):
    """The parts of a card."""

    block: str
    """The metadata as text."""
    data: dict[str, Any]
    text: str


def merge(ours: str, existing: str | None) -> str:
    """A rendered card with the user's additions to the existing card (None if there is none).

    Text outside of the marks keeps its place. A card without both marks keeps all its text, and the rendered card
    follows it. Metadata keys that the rendered card lacks are kept, as are the tags of both. Metadata that is not a
    mapping is replaced.
    """
    if not existing:
        return ours
    new, old = _read(ours), _read(existing)
    before, after = _outside(old.text)
    data = _joined(new.data, old.data)
    # Equal metadata keeps its form, including comments.
    block = old.block if data == old.data else _written(data, [*old.data, *new.data])
    return f"---\n{block}\n---\n{before}{_marked(new.text)}{after}"


def _read(card: str) -> _Parts:
    """The parts of any card."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    card = card.replace("\r\n", "\n").removeprefix("\ufeff")
    match = REGEX_YAML_BLOCK.search(card)
    if not match:
        return _Parts("", {}, card)
    try:
        data = parse_mapping(match.group(2), "README.md")
    except ConfigError:
        data = {}
    return _Parts(match.group(2), data, card[match.end() :])


def _written(data: dict[str, Any], order: list[str]) -> str:
    from huggingface_hub import CardData

    card = CardData()
    for key in dict.fromkeys(key for key in order if key in data):
        card[key] = data[key]
    return card.to_yaml()


def _joined(new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    # An older `model-index` has the scores of another model; the other keys have a meaning for the Hub's client.
    dropped = {*new, "model-index", "model_name", "eval_results", "ignore_metadata_errors"}
    kept = {str(key): value for key, value in old.items() if key not in dropped}
    tags = old.get("tags")
    further = [tag for tag in tags if isinstance(tag, str) and tag not in new["tags"]] if isinstance(tags, list) else []
    return new | {"tags": [*new["tags"], *further]} | kept


def _outside(text: str) -> tuple[str, str]:
    """The text before and after the first pair of marks, without other marks."""
    marks = list(_MARK.finditer(text))
    for begin, end in pairwise(marks):
        if (begin[1], end[1]) == ("begin", "end"):
            return _MARK.sub("", text[: begin.start()]), _MARK.sub("", text[end.end() :])
    return _MARK.sub("", text).rstrip() + "\n\n", "\n"


def _marked(text: str) -> str:
    begin, end = (next(mark for mark in _MARK.finditer(text) if mark[1] == which) for which in ("begin", "end"))
    return text[begin.start() : end.end()]


TEMPLATE = Path(__file__).with_name("card.md.jinja")
TAGS = ("nerbench", "named-entity-recognition", "ner")
_WITH_PRECISION = ("strict", "conlleval")
"""Modes whose precision and recall are in the metadata; of the other modes, only F1 is."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")


class Card(NamedTuple):
    """A rendered model card."""

    text: str
    """The content of README.md."""
    missing: list[str]
    """Missing values, one line each, with the remedy."""
    eval_results: str | None = None
    """The content of `.eval_results/nerbench.yaml`; None without `card.eval_results` or without scores for them."""


def render_card(artifact: ArtifactRef, config: Config, repository: str | None = None) -> Card:
    """The card of an artifact, from its manifest and the newest rows of the result tables.

    Args:
        repository: `org/name` that it is published as; without it, the card's example of use names `your-org`.

    Raises:
        CorruptArtifactError: the manifest or a table is damaged.
        InputError: the artifact has no weights.
    """
    from huggingface_hub import ModelCard

    artifact.require_weights()
    manifest = load_manifest(artifact)
    parameters = sum(tensor.parameters for tensor in tensors_of(artifact, manifest))
    evidence = find_evidence(config.results, artifact.artifact_id)
    about = metadata(manifest, evidence, _completed(config, manifest), repository or artifact.name)
    card = ModelCard.from_template(
        about,
        template_str=TEMPLATE.read_text(encoding="utf-8"),
        begin=BEGIN,
        end=END,
        **card_from_manifest.render(artifact, manifest, parameters, evidence, about, config.card, repository),
    )
    return Card(str(card), _missing(about, evidence), _written_eval_results(evidence, config.card))


def _written_eval_results(evidence: Evidence, card: CardConfig) -> str | None:
    from huggingface_hub import eval_result_entries_to_yaml

    entries = hub_results(evidence, card)
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False) if entries else None


def hub_results(evidence: Evidence, card: CardConfig) -> "list[EvalResultEntry]":
    """For each benchmark in `card.eval_results`, overall strict F1 against the data set's own annotation, in points.

    The format is that of https://huggingface.co/docs/hub/eval-results, which has no field for an interval: it is in
    `notes`.
    """
    from huggingface_hub import EvalResultEntry

    found = []
    for benchmark in card.eval_results:
        for scored in evidence.annotations:
            row = scored.find("strict", "f1")
            if (scored.dataset, scored.gold) != (benchmark.dataset,) * 2 or row is None or row["value"] is None:
                continue
            found.append(
                EvalResultEntry(
                    dataset_id=benchmark.id,
                    task_id=benchmark.task_id,
                    dataset_revision=benchmark.revision,
                    value=round(100 * row["value"], 2),
                    date=evidence.date,
                    notes=f"strict entity F1 (micro) on {line(scored.split)}, {line(scored.dtype)} on "
                    f"{line(row.get('backend') or 'torch')}{_interval(row)}",
                )
            )
    return found


def _interval(row: Row) -> str:
    if row["ci_low"] is None or row["ci_high"] is None or row["confidence"] is None:
        return ""
    return f", {100 * row['confidence']:g} % interval {100 * row['ci_low']:.2f} to {100 * row['ci_high']:.2f}"


def metadata(manifest: Manifest, evidence: Evidence, card: CardConfig, model_name: str) -> "ModelCardData":
    """The metadata that the Hub reads. Unknown values are left out."""
    from huggingface_hub import ModelCardData

    results = [result for one in evidence.annotations for result in _eval_results(one)]
    return ModelCardData(
        license=card.license,
        language=list(card.language) or None,
        base_model=card.base_model,
        datasets=list(card.datasets) or None,
        library_name="transformers",
        pipeline_tag="token-classification",
        tags=list(TAGS),
        metrics=["precision", "recall", "f1"] if results else None,
        model_name=model_name.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )


def _completed(config: Config, manifest: Manifest) -> CardConfig:
    """The configured metadata, with missing values from the manifest and the data sets."""
    card, origin = config.card, manifest.provenance
    seen = {corpus.dataset for corpus in origin.corpora}
    of_hub = tuple(d.path for d in config.datasets if d.name in seen and d.format == "hub" and is_hub_id(d.path))
    base = origin.base_model.name if origin.base_model else None
    return card.model_copy(
        update={
            "base_model": card.base_model or (base if is_hub_id(base) else None),
            "datasets": card.datasets or of_hub,
        }
    )


def is_hub_id(base: str | None) -> bool:
    """Whether a text can be the id of a repository on the Hub."""
    return bool(base and _HUB_ID.fullmatch(base))


def _eval_results(scored: AnnotationScores) -> "list[EvalResult]":
    """Overall F1 in every mode, in 0…1; `metric_args` gives the mode and the interval."""
    from huggingface_hub import EvalResult

    found = []
    for mode in MODES:
        for metric in ("precision", "recall", "f1") if mode in _WITH_PRECISION else ("f1",):
            row = scored.find(mode, metric)
            if row is None or row["value"] is None:
                continue
            interval = {key: round(row[key], 6) for key in ("ci_low", "ci_high", "confidence") if row[key] is not None}
            found.append(
                EvalResult(
                    task_type="token-classification",
                    task_name="Named-entity recognition",
                    dataset_type=line(scored.dataset),
                    dataset_name=line(
                        scored.dataset
                        if scored.gold == scored.dataset
                        else f"{scored.dataset}, annotation {scored.gold}"
                    ),
                    dataset_config=None if scored.gold == scored.dataset else line(scored.gold),
                    dataset_split=line(scored.split),
                    metric_type=metric,
                    metric_name=f"{metric} ({mode}, micro)",
                    metric_value=round(row["value"], 6),
                    metric_args={"mode": mode, "average": "micro", **interval},
                )
            )
    return found


def _missing(about: "ModelCardData", evidence: Evidence) -> list[str]:
    remedies = {
        "license": "licence: set `card.license` in the configuration",
        "language": "language: set `card.language`",
        "base_model": "base model on the Hub: set `card.base_model`",
        "datasets": "training data on the Hub: set `card.datasets`",
    }
    absent = [remedy for key, remedy in remedies.items() if not about.get(key)]
    return absent if evidence.annotations else [*absent, "scores: run `nerbench benchmark` first"]
