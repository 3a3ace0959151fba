"""Labels of a model are matched by name, and an error lists unmatched names of model and corpus."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from evaluation_records import artifact_ref

from nerbench.artifacts.errors import LabelError
from nerbench.tasks.config import BenchmarkConfig
from nerbench.tasks.data.label_matching import match_labels, read_labels

CONLL = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def match(labels: list[str], types: set[str], predicted: str, **options: Any) -> list[str]:
    """The IOB2 tags of predicted labels, one per word, in sentences separated by `/`."""
    reading = match_labels(artifact_ref("tagger"), labels, types, BenchmarkConfig.model_validate(options))
    sentences = [sentence.split() for sentence in predicted.split("/")]
    starts = np.array([i == 0 for sentence in sentences for i, _ in enumerate(sentence)])
    words = pa.array([label for sentence in sentences for label in sentence])
    return reading.read(words.dictionary_encode(), starts).to_pylist()


@pytest.mark.parametrize("labels", [CONLL, CONLL[::-1], ["B-PER", "O", "I-LOC", "I-PER", "B-LOC"]])
def test_labels_match_by_name_whatever_their_order(labels: list[str]) -> None:
    predicted = "B-PER I-PER O I-LOC B-LOC"
    assert match(labels, {"PER", "LOC"}, predicted) == predicted.split()


def test_label_maps_may_name_types_of_other_models() -> None:
    labels = ["X", "B-PERSON", "I-PERSON", "B-LOC", "I-LOC", "B-DATE", "O"]
    options = {"label_map": {"PERSON": "PER", "GPE": "LOC"}, "ignore_labels": ["DATE", "X", "TIME"]}
    found = match(labels, {"PER", "LOC"}, " ".join(labels), **options)
    assert found == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "O", "O"]


def test_a_model_need_not_know_every_type() -> None:
    assert match(CONLL, {"PER", "LOC", "ORG"}, "B-PER O B-LOC") == ["B-PER", "O", "B-LOC"]


def test_the_label_map_of_a_model_takes_precedence() -> None:
    benchmark = BenchmarkConfig(
        label_map={"PERSON": "X", "GPE": "X", "DATE": "X"}, label_map_of={"spacy": {"PERSON": "PER"}}
    )
    labels, label_map = ("O", "B-PERSON", "B-GPE", "B-DATE"), {"PERSON": "Y", "GPE": "LOC", "DATE": "O"}
    reading = match_labels(artifact_ref("spacy", label_map=label_map), labels, {"PER", "LOC"}, benchmark)
    assert reading.label_map == {"PERSON": "PER", "GPE": "LOC", "DATE": "O"}
    assert [reading.openings[label] for label in labels] == ["O", "B-PER", "B-LOC", "O"]
    assert read_labels(artifact_ref("other", label_map=label_map), labels, benchmark).label_map["PERSON"] == "Y"


@pytest.mark.parametrize(
    ("labels", "predicted", "tags"),
    [
        ("O B-X I-X E-X S-X", "B-X I-X E-X S-X O E-X", "B-X I-X I-X B-X O I-X"),
        ("O B-X I-X L-X U-X", "B-X I-X L-X U-X O L-X", "B-X I-X I-X B-X O I-X"),
        ("O X", "X X O X/X", "B-X I-X O B-X B-X"),
        ("O I-X", "I-X I-X O I-X/I-X", "B-X I-X O B-X B-X"),
        ("O B-X I-X I-Y", "I-Y I-Y O I-X I-Y", "B-X I-X O B-X B-X"),  # Y is renamed to X; IOB1, because there is no B-Y
        ("O B-X I-X I-Z", "I-X O I-Z I-X", "I-X O O I-X"),  # Z is ignored, so nothing lacks a beginning
    ],
)
def test_schemes_of_models(labels: str, predicted: str, tags: str) -> None:
    options = {"label_map": {"Y": "X"}, "ignore_labels": ["Z"]}
    assert match(labels.split(), {"X"}, predicted, **options) == tags.split()


def test_a_model_without_label_names_can_be_given_names() -> None:
    declared = {"tagger": ["B-PER", "I-PER", "O"], "other": ["O"]}
    found = match(["LABEL_0", "LABEL_1", "LABEL_2"], {"PER"}, "LABEL_0 LABEL_1 LABEL_2 O", labels_of=declared)
    assert found == ["B-PER", "I-PER", "O", "O"]


@pytest.mark.parametrize(
    ("labels", "types", "message"),
    [
        (
            [*CONLL, "B-DATE"],
            {"PER", "LOC"},
            "model tagger: its types are DATE, LOC, PER, the corpus's are LOC, PER; list DATE in "
            "benchmark.ignore_labels, or rename them in benchmark.label_map",
        ),
        (
            ["O", "B-PERSON", "B-LOCATION", "B-DATE"],
            {"PER", "LOC", "ORG"},
            "write label_map: {LOCATION: LOC, PERSON: PER} below benchmark if they mean the same; list DATE in "
            "benchmark.ignore_labels, or rename them in benchmark.label_map (e.g. {DATE: ORG})",
        ),
        (["O", "B-per"], {"PER"}, "its types are per, the corpus's are PER; write label_map: {per: PER} below bench"),
        (["O", "PER", "LOC"], {"PER"}, "its types are LOC, PER, the corpus's are PER; list LOC"),
        (["O", "B-PER", "X", "Y"], {"PER"}, "model tagger: its labels 'X', 'Y' are neither O nor B-TYPE, I-TYPE or"),
        (
            ["LABEL_0", "LABEL_1"],
            {"PER"},
            "model tagger: its label LABEL_0 names no tag; list what its 2 outputs mean, ",
        ),
        (["LABEL_0", "LABEL_1"], {"PER"}, "(e.g. {tagger: [O, B-PER, I-PER]}), or publish it with id2label in its con"),
    ],
)
def test_labels_that_do_not_fit(labels: list[str], types: set[str], message: str) -> None:
    with pytest.raises(LabelError) as caught:
        match_labels(artifact_ref("tagger"), labels, types, BenchmarkConfig())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["LABEL_0", "LABEL_1"], "1 tags are declared for the 2 outputs of the model; list one for each"),
        (["B-PER"], "the model itself names its outputs B-PER; rename types in benchmark.label_map instead"),
    ],
)
def test_names_are_declared_for_all_outputs_or_none(labels: list[str], message: str) -> None:
    benchmark = BenchmarkConfig(labels_of={"tagger": ("O",)})
    with pytest.raises(LabelError, match=f"benchmark.labels_of.tagger: {message}"):
        match_labels(artifact_ref("tagger"), labels, {"PER"}, benchmark)
