"""`predict` and the benchmark give the same tags."""

import json
from pathlib import Path
from random import Random

import pytest
import torch
from evaluation_records import artifact_ref
from tiny_models import LABELS, WORDS, save_bag

from nerbench.artifacts.references import resolve
from nerbench.tasks.config import BenchmarkConfig, Config
from nerbench.tasks.data.corpus_refs import describe, open_corpus
from nerbench.tasks.inference.evaluation_cache import Evaluated, carry_out, plan
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.predicting.tagging import TaggedSentence, reader_of, tag_sentences
from nerbench.tasks.predicting.text_reading import open_source
from nerbench.tasks.scoring.score_predictions import name_predictions

BENCHMARK = BenchmarkConfig(device="cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT that predicts one of five labels for each word by its first token."""
    return save_bag(tmp_path_factory.mktemp("predicting"), lambda piece: piece % len(LABELS))


@pytest.fixture(scope="module")
def tagger(model: Path) -> LoadedModel:
    return load_tagger(model, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 sentences in CoNLL format."""
    random, path = Random(1), tmp_path_factory.mktemp("corpus") / "test.conll"
    lines = ["".join(f"{word} O B-LOC\n" for word in random.choices(WORDS, k=random.randint(1, 9))) for _ in range(200)]
    path.write_text("-DOCSTART- O O\n\n" + "\n".join(lines).replace("B-LOC\n", "B-PER\n", 1))
    return path


def tagged(tagger: LoadedModel, path: Path, format: str | None = None) -> list[TaggedSentence]:
    reader = reader_of(artifact_ref("tagger"), tagger.labels, BENCHMARK, "strict")
    sentences = open_source(str(path), format, "utf-8").sentences  # type: ignore[arg-type]
    return list(tag_sentences(tagger, reader, sentences, aggregation_strategy="first"))


def test_tags_are_those_of_the_benchmark(tagger: LoadedModel, model: Path, corpus: Path, tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "results": str(tmp_path / "results"),
            "dataset": {"name": "own", "files": {"test": str(corpus)}},
            "benchmark": {"device": "cpu"},
        }
    )
    (ref,) = describe(config, config.datasets[0])
    (artifact,) = resolve(str(model), config.store)
    planned = plan(artifact, ref.words_sha256, config.benchmark, config.results)
    record = carry_out(planned, artifact, open_corpus(ref), config.results)
    named = name_predictions(config.results, Evaluated(artifact, ref, record), config.benchmark)
    found = tagged(tagger, corpus)
    assert [tag for one in found for tag in one.tags] == named.tags.to_pylist()
    assert [score for one in found for score in one.scores] == pytest.approx(named.table["score"].to_pylist(), abs=1e-6)
    assert len({tag for one in found for tag in one.tags}) == 5, "a model with one answer would prove nothing"


def test_text_and_conll_of_the_same_words_are_tagged_alike(tagger: LoadedModel, corpus: Path, tmp_path: Path) -> None:
    by_words = tagged(tagger, corpus)
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(one.sentence.text for one in by_words))
    by_text = tagged(tagger, text, "words")
    assert [one.tags for one in by_text] == [one.tags for one in by_words]
    assert [one.sentence.line for one in by_text] == list(range(1, 2 * len(by_words), 2))


@pytest.mark.parametrize("mode", ["strict", "conlleval"])
def test_entities_follow_from_the_tags(tagger: LoadedModel, corpus: Path, mode: str) -> None:
    from tagging import textbook

    reader = reader_of(artifact_ref("tagger"), tagger.labels, BENCHMARK, mode)  # type: ignore[arg-type]
    found = list(
        tag_sentences(tagger, reader, open_source(str(corpus), None, "utf-8").sentences, aggregation_strategy="first")
    )
    expected = [(one.sentence, one.start, one.end, one.type) for one in textbook([one.tags for one in found], mode)]
    assert [(n, e.first, e.last, e.label) for n, one in enumerate(found) for e in one.entities] == expected
    for one in found[:100]:
        for entity in one.entities:
            assert entity.score == min(score or 0 for score in one.scores[entity.first : entity.last])


def test_json_names_the_characters_of_words_and_entities(tagger: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("Müller & Sons opened\n", encoding="utf-8")
    (one,) = tagged(tagger, path)
    printed = json.loads(json.dumps(one.to_json()))
    for part in printed["tokens"] + printed["entities"]:
        assert printed["text"][part["start"] : part["end"]] == part["text"]
    assert [token["tag"] for token in printed["tokens"]] == one.tags
    assert printed["line"] == 1


def test_labels_of_a_model_are_renamed_as_in_the_benchmark() -> None:
    benchmark = BenchmarkConfig(label_map={"PERSON": "PER"}, ignore_labels=("DATE",))
    model = artifact_ref("m")
    labels = ("O", "B-PERSON", "I-PERSON", "B-DATE", "I-DATE", "B-LOC", "I-LOC")
    assert reader_of(model, labels, benchmark, "strict").types == ["LOC", "PER"]
    assert reader_of(model, ("PER", "O"), BenchmarkConfig(), "strict").types == ["PER"]
    nameless = BenchmarkConfig(labels_of={"m": ("B-PER", "O")})
    assert reader_of(model, ("LABEL_0", "LABEL_1"), nameless, "strict").types == ["PER"]


def test_blocks_of_any_size_are_put_together_again(
    tagger: LoadedModel, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [one.tags for one in tagged(tagger, corpus)]
    monkeypatch.setattr("nerbench.tasks.inference.prediction.BLOCK", 60)
    assert [one.tags for one in tagged(tagger, corpus)] == whole
