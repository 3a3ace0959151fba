"""A card shows the values of manifest and tables, and data in it is literal."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import EvalResult, EvalResultEntry, ModelCard, ModelCardData, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_tables import read_tables
from publishing_rows import TRAINED, metric, write_metrics
from safetensors.numpy import load_file

from nerbench.artifacts.manifest import ArtifactRef, CorpusDigest, Manifest, Provenance
from nerbench.artifacts.references import load_manifest, materialise
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import write_table
from nerbench.tasks.config import CardConfig, Config
from nerbench.tasks.publishing.card import metadata, render_card
from nerbench.tasks.publishing.card_evidence import find_evidence
from nerbench.tasks.publishing.markdown_escaping import line, name, text

SECTIONS = [
    *("Model description", "Intended uses and limitations", "How to use", "Limitations and bias", "Training data"),
    *(
        "Training procedure",
        "Variables and metrics",
        "Evaluation results",
        "Speed and memory",
        "How this card was made",
    ),
]
NASTY = [
    "a|b",
    'say "hi"',
    "it's: `code`",
    "two\nlines",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "---",
    "<!-- x -->",
]


def metadata_of(card: str) -> dict[str, Any]:
    data = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(data, dict)
    return data


def section(card: str, heading: str) -> str:
    return card.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


@pytest.fixture
def scored(config: Config, ref: ArtifactRef) -> ArtifactRef:
    """`ref` with a run, an earlier one on that day, and one on the day before; two annotations and some slices."""
    for run, day, value in (("friday", 1, 0.5), ("morning", 3, 0.4)):
        earlier = metric(value, run_id=run, started_at=datetime(2026, 1, day, tzinfo=UTC) - timedelta(hours=1))
        write_metrics(config, ref, [earlier, earlier | {"gold": run}], f"2026-01-0{day}")
    labels = [metric(v, label=k, average="", n_gold=500) for k, v in {"LOC": 0.9, "PER": 0.7}.items()]
    parts = [
        metric(v, slice=k, n_gold=n) for k, v, n in (("seen", 0.95, 600), ("unseen", 0.6, 400), ("all_caps", 0.55, 9))
    ]
    both = [
        metric(0.8, metric="precision"),
        metric(0.82, metric="recall"),
        metric(0.81),
        metric(0.79, mode="conlleval"),
    ]
    other = [metric(0.77, gold="older", gold_sha256="5" * 64)]
    write_metrics(config, ref, [*both, *labels, *parts, *other, metric(None, slice="own", reason="no words")])
    return ref


def test_a_card_without_scores_states_it(config: Config, ref: ArtifactRef) -> None:
    card = render_card(ref, config)
    assert re.findall(r"^## (.*)$", card.text, re.MULTILINE) == SECTIONS
    assert "None: this model was not benchmarked" in section(card.text, "Evaluation results")
    assert "Not measured" in section(card.text, "Limitations and bias")
    assert section(card.text, "Speed and memory").strip() == "Not measured."
    assert not {"model-index", "license", "language", "datasets", "base_model", "metrics"} & set(metadata_of(card.text))
    assert [line.partition(":")[0] for line in card.missing] == [
        *("licence", "language", "base model on the Hub", "training data on the Hub", "scores")
    ]


def test_numbers_are_those_of_the_newest_run(config: Config, scored: ArtifactRef) -> None:
    card = render_card(scored, config, "acme/tagger").text
    assert "**Strict F1 81.0 (79.0–83.0)** on `news`, test split, 1,000 entities in 40 documents" in card
    assert "**Strict F1 77.0 (75.0–79.0)** on `news`, test split against the annotation `older`" in card
    assert not re.search(r"50\.0|40\.0|friday|morning", card.partition("\n## Training procedure")[0])
    modes, types, _ = read_tables(section(card, "Evaluation results"))
    assert modes == [
        {"mode": "`strict`", "precision": "80.0 (78.0–82.0)", "recall": "82.0 (80.0–84.0)", "F1": "81.0 (79.0–83.0)"},
        {"mode": "`conlleval`", "precision": "", "recall": "", "F1": "79.0 (77.0–81.0)"},
    ]
    assert [(row["type, strict"], row["F1"], row["entities"]) for row in types] == [
        ("`LOC`", "90.0 (88.0–92.0)", "500"),
        ("`PER`", "70.0 (68.0–72.0)", "500"),
    ]


def test_repaired_tags_are_reported_for_their_annotation_only(config: Config, ref: ArtifactRef) -> None:
    tokens = {"level": "token", "mode": "tag", "metric": "accuracy", "n_gold": 46_435}
    further = {"gold": "older", "gold_sha256": "5" * 64}
    rows = [metric(0.8), metric(0.9, **tokens, n_repaired=0), metric(0.8, **further)]
    write_metrics(config, ref, [*rows, metric(0.9, **tokens, **further, n_repaired=1)])
    own, older = section(render_card(ref, config).text, "Evaluation results").split("against the annotation `older`")
    assert "repaired" not in own
    assert "\n1 of 46,435 tags repaired (I- without B-, read as B-).\n" in older


def test_weak_points_are_reported(config: Config, scored: ArtifactRef) -> None:
    told = section(render_card(scored, config).text, "Limitations and bias")
    parts = {row["slice"]: row for row in read_tables(told)[0]}
    assert list(parts) == ["`all`", "`seen`", "`unseen`", "`all_caps`", "`own`"]
    assert (parts["`unseen`"]["F1"], parts["`unseen`"]["difference from all"]) == ("60.0 (58.0–62.0)", "-21.0")
    assert parts["`own`"]["F1"] == "none (no words)"
    for sentence in (
        "On mentions that do not occur in the training data, F1 is 60.0; on those that do, 95.0.",
        "In sentences without lower-case letters, such as headlines, F1 is 55.0.",
        "The weakest type is `PER` with F1 70.0; the best is `LOC` with F1 90.0.",
        "are based on fewer than 100 entities",
    ):
        assert sentence in told


def test_metadata_is_read_by_the_hub(config: Config, scored: ArtifactRef) -> None:
    about = CardConfig(license="apache-2.0", language=("en",), base_model="org/minilm", datasets=("org/news",))
    card = render_card(scored, config.model_copy(update={"card": about}), "acme/tagger")
    assert card.missing == []
    data = metadata_of(card.text)
    expected = {"license": "apache-2.0", "language": ["en"], "base_model": "org/minilm", "datasets": ["org/news"]}
    assert expected.items() <= data.items()
    assert (data["library_name"], data["pipeline_tag"]) == ("transformers", "token-classification")
    model, found = model_index_to_eval_results(data["model-index"])
    assert model == "tagger"
    assert [
        (r.dataset_name, r.dataset_config, r.metric_args["mode"], r.metric_type, r.metric_value) for r in found
    ] == [
        ("news", None, "strict", "precision", 0.8),
        ("news", None, "strict", "recall", 0.82),
        ("news", None, "strict", "f1", 0.81),
        ("news", None, "conlleval", "f1", 0.79),
        ("news, annotation older", "older", "strict", "f1", 0.77),
    ]
    assert found[2] == EvalResult(
        task_type="token-classification",
        task_name="Named-entity recognition",
        dataset_type="news",
        dataset_name="news",
        dataset_split="test",
        metric_type="f1",
        metric_name="f1 (strict, micro)",
        metric_value=0.81,
        metric_args={"mode": "strict", "average": "micro", "ci_low": 0.79, "ci_high": 0.83, "confidence": 0.95},
    )
    assert ModelCardData(**data).to_dict() == ModelCard(card.text).data.to_dict() == data


def test_origin_and_training(config: Config, ref: ArtifactRef) -> None:
    card = render_card(ref, config).text
    tensors = load_file(materialise(ref) / "model.safetensors")
    assert f"**Size**: {sum(tensor.size for tensor in tensors.values()):,} parameters" in card
    assert "/home/ada" not in card
    assert "secret-project" not in card
    assert "a local folder, `minilm`, whose origin is not recorded" in card
    assert [row["split"] for row in read_tables(section(card, "Training data"))[0]] == ["`train`", "`validation`"]
    settings = {row["setting"]: row["value"] for row in read_tables(section(card, "Training procedure"))[0]}
    assert settings == {"`epochs`": "3", "`learning_rate`": "0.0003"}
    assert "commit `c0ffee` with uncommitted changes" in card
    assert f"- `train.txt` (`train`): sha256 `{64 * 'e'}`" in section(card, "Training data")
    assert f"- trained by run `friday`\n- configuration: sha256 `{64 * 'd'}`" in section(card, "How this card was made")
    for digest in (ref.artifact_id, ref.model_sha256, *(corpus.words_sha256 for corpus in TRAINED.corpora)):
        assert f"`{digest}`" in card


def test_speed_and_memory(config: Config, ref: ArtifactRef) -> None:
    where = {
        "run_id": "monday",
        "artifact_id": ref.artifact_id,
        "model": "tagger",
        "device": "cpu",
        "dtype": "fp32",
    }
    where |= {"workload": "inference", "batch_size": 1}
    speed = where | {"status": "ok", "p50_s": 0.0102, "p90_s": 0.02, "p99_s": 0.0304, "words_per_s": 1234.5}
    memory = where | {"load_s": 0.5, "baseline_rss_bytes": 100_000_000, "peak_rss_bytes": 350_000_000}
    run = {"run_id": "monday", "started_at": datetime(2026, 1, 3, tzinfo=UTC), "flow": "benchmark", "outcome": "ok"}
    for table, row in (("speed", speed), ("memory", memory), ("runs", run | {"cpu": "AMD EPYC", "threads": 2})):
        write_table(config.results, table, [row], date="2026-01-03", key="k")
    told = section(render_card(ref, config).text, "Speed and memory")
    (row,) = read_tables(told)[0]
    assert [*row.values()] == ["`cpu`", "`fp32`", "1", "10.2", "20.0", "30.4", "1,234", "0.50", "250"]
    assert "on AMD EPYC, 2 threads" in told


def test_scores_on_training_words_are_marked(config: Config, ref: ArtifactRef) -> None:
    write_metrics(
        config, ref, [metric(0.99, words_sha256="1" * 64), metric(0.9, split="validation", words_sha256="2" * 64)]
    )
    card = render_card(ref, config).text
    assert "was trained on these words" in card.partition("validation split")[0]
    assert "The best epoch was chosen by these words" in card.partition("validation split")[2]


def test_a_model_with_random_weights(config: Config, tiny_model_folder: Path) -> None:
    origin = Provenance(training={"base": {"model_type": "bert"}, "vocabulary": 300})
    card = render_card(Store(config.store).publish(tiny_model_folder, "fresh", origin), config).text
    assert "it started from random weights" in card
    assert "trained from random weights" in card
    assert "`vocabulary`" in card
    imported = render_card(Store(config.store).publish(tiny_model_folder, "plain", Provenance()), config).text
    assert imported.count("Not recorded: the model was trained elsewhere") == 2


def test_data_cannot_break_out(config: Config, ref: ArtifactRef) -> None:
    labels = ("O", *(f"B-{one}" for one in NASTY))
    corpora = (CorpusDigest(dataset=NASTY[0], split=NASTY[4], words_sha256=NASTY[3], gold_sha256=NASTY[5]),)
    known = load_manifest(ref).model_dump() | {"labels": labels}
    manifest = Manifest.model_validate(
        known | {"provenance": {"corpora": corpora, "training": {one: one for one in NASTY}}}
    )
    Path(ref.uri).with_name(f"{manifest.artifact_id}.json").write_bytes(manifest.to_bytes())
    nasty = ref.model_copy(update={"artifact_id": manifest.artifact_id, "labels": labels})
    about = CardConfig(license=NASTY[1], language=tuple(NASTY), base_model=NASTY[4], datasets=tuple(NASTY))
    rows = [metric(0.5, dataset=one, gold=one, label=label, average="") for one in NASTY for label in NASTY]
    rows += [metric(0.5, dataset=one, gold=one) for one in NASTY]
    rows += [metric(None, dataset=one, gold=one, slice=one, reason=one) for one in NASTY]
    write_metrics(config, nasty, rows)
    card = render_card(nasty, config.model_copy(update={"card": about}), "acme/tagger").text
    assert "<script" not in card.partition("\n---\n")[2]
    assert "49" not in re.findall(r"\b49\b", card)
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == SECTIONS
    assert len(re.findall(r"^<!--.*-->$", card, re.MULTILINE)) == 2
    assert {len(row) for rows in read_tables(card) for row in rows} <= {3, 4, 5}
    data = ModelCard(card).data.to_dict()
    assert data["language"] == NASTY
    assert data["datasets"] == NASTY


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.sampled_from(NASTY), st.text(st.sampled_from("ab |`*_[](){}<>&#!$~\\\n-+.:/@\"'"), max_size=12)))
def test_text_is_literal(value: str) -> None:
    for shown in (text(value), name(value)):
        page = (
            MarkdownIt("commonmark")
            .enable(["table", "strikethrough"])
            .render(f"| a |\n| --- |\n| {shown} |\n\nx {shown} x")
        )
        cell, running = re.fullmatch(r"<table>.*<td>(.*)</td>.*</table>\n<p>x (.*) x</p>\n", page, re.DOTALL).groups()
        for html in (cell, running):
            assert set(re.findall(r"<(/?\w+)", html)) <= {"code", "/code"}
            assert unescape(re.sub(r"</?code>", "", html)).split() == line(value).split()


def test_runs_of_custom_metrics_and_incomplete_runs_do_not_empty_a_card(
    config: Config, ref: ArtifactRef, scored: ArtifactRef
) -> None:
    before = render_card(scored, config).text
    at = datetime(2026, 1, 4, tzinfo=UTC)
    tagged = metric(0.1, metric="mine", source="my_metrics.py", run_id="tagged", started_at=at)
    write_metrics(config, ref, [tagged], "2026-01-04")
    write_metrics(config, ref, [tagged | {"run_id": "tagged-today", "started_at": at - timedelta(hours=20)}])
    write_metrics(config, ref, [metric(0.2, run_id="killed", started_at=at)], "2026-01-05", ended=False)
    assert render_card(scored, config).text == before


def test_the_publishers_texts_are_in_their_sections(config: Config, ref: ArtifactRef) -> None:
    about = CardConfig(
        intended_uses="Newswire only.\n\nNot for <b>medical</b> text",
        limitations="# Weak on `tweets`: {{ 7 * 7 }}\n---\n<!-- nerbench:end -->",
        bias="Fewer names of [women](x)",
    )
    card = render_card(ref, config.model_copy(update={"card": about})).text
    uses = section(card, "Intended uses and limitations")
    assert "\n\nNewswire only.\n\nNot for &lt;b&gt;medical&lt;/b&gt; text\n\n- It has no other types" in uses
    known = section(card, "Limitations and bias")
    assert r"\# Weak on \`tweets\`: {{ 7 \* 7 }} ---" in known
    assert r"Fewer names of \[women\](x)" in known
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == SECTIONS
    assert len(re.findall(r"^<!--.*-->$", card, re.MULTILINE)) == 2


def test_evidence_without_results(config: Config, ref: ArtifactRef) -> None:
    found = find_evidence(config.results, ref.artifact_id)
    assert (found.run_id, found.annotations, found.speed, found.memory, found.machine) == (None, [], [], [], None)
    assert "model-index" not in metadata(load_manifest(ref), found, CardConfig(), "x").to_dict()


def test_a_card_is_plain_text_for_json(config: Config, scored: ArtifactRef) -> None:
    card = render_card(scored, config)
    assert json.loads(json.dumps(card)) == [card.text, card.missing, None]
    assert render_card(scored, config) == card


def test_evaluation_results_for_the_hub(config: Config, scored: ArtifactRef) -> None:
    assert render_card(scored, config).eval_results is None
    one = {"dataset": "news", "id": "acme/news", "task_id": "ner"}
    about = CardConfig.model_validate({"eval_results": [one, one | {"task_id": "again", "revision": "c0ffee"}]})
    found = yaml.safe_load(render_card(scored, config.model_copy(update={"card": about})).eval_results or "")
    first, second = parse_eval_result_entries(found)
    assert first == EvalResultEntry(
        dataset_id="acme/news",
        task_id="ner",
        value=81.0,
        date="2026-01-03",
        notes="strict entity F1 (micro) on test, fp32 on torch, 95 % interval 79.00 to 83.00",
    )
    assert (second.task_id, second.dataset_revision) == ("again", "c0ffee")
    absent = CardConfig.model_validate({"eval_results": [one | {"dataset": "other"}]})
    assert render_card(scored, config.model_copy(update={"card": absent})).eval_results is None
