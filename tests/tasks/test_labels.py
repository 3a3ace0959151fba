"""Labels are matched by name, and what cannot be matched is named on both sides."""

import pytest

from artifacts.errors import LabelError
from tasks.labels import entity_types, is_tag, match_labels, rename_tag, tag_vocabulary, type_of

CONLL = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


@pytest.mark.parametrize("text", ["O", "B-PER", "I-LOC-deriv", "B-Ö", "I-a b", "B--"])
def test_tags(text: str) -> None:
    assert is_tag(text)


@pytest.mark.parametrize("text", ["", "o", "PER", "B", "B-", "I- ", "B- X", "S-PER", "L-PER", "B_PER", "O ", "O-PER"])
def test_no_tags(text: str) -> None:
    assert not is_tag(text)


def test_types_and_their_tags() -> None:
    assert type_of("I-LOC-deriv") == "LOC-deriv"
    assert type_of("O") is None
    assert entity_types(["O", "I-PER", "B-LOC", "B-PER"]) == ["LOC", "PER"]
    assert tag_vocabulary(["PER", "LOC"]) == CONLL
    assert entity_types(tag_vocabulary(["X"])) == ["X"]


def test_renaming() -> None:
    assert [rename_tag(tag, {"A": "B"}, ["C"]) for tag in ("O", "B-A", "I-B", "I-C")] == ["O", "B-B", "I-B", "O"]


def test_labels_match_by_name_whatever_their_order() -> None:
    for labels in (CONLL, list(reversed(CONLL)), ["B-PER", "O", "I-LOC", "I-PER", "B-LOC"]):
        assert match_labels(labels, {"PER", "LOC"}, {}, ()) == labels


def test_declared_maps_serve_several_models() -> None:
    labels = ["X", "B-PERSON", "I-PERSON", "B-LOC", "I-LOC", "B-DATE", "O"]
    matched = match_labels(labels, {"PER", "LOC"}, {"PERSON": "PER", "GPE": "LOC"}, ("DATE", "X", "TIME"))
    assert matched == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "O", "O"]


@pytest.mark.parametrize(
    ("labels", "types", "message"),
    [
        (
            [*CONLL, "B-DATE"],
            {"PER", "LOC"},
            "model labels: the model's types are DATE, LOC, PER, the corpus's are LOC, PER; rename DATE in "
            "benchmark.label_map (e.g. {DATE: LOC}) or list them in benchmark.ignore_labels",
        ),
        (
            CONLL,
            {"PER", "LOC", "ORG"},
            "the model's types are LOC, PER, the corpus's are LOC, ORG, PER; rename a type of the model to ORG, or "
            "list them in the data set's ignore_labels",
        ),
        (["O", "B-per"], {"PER"}, "the model's types are per, the corpus's are PER; rename per"),
        (["LABEL_0", "LABEL_1"], {"PER"}, "model labels: LABEL_0 names no tag; set id2label"),
        (["O", "PER", "X"], {"PER"}, "'PER', 'X' are neither O nor B-TYPE nor I-TYPE; list what means no entity in"),
        (["O", "S-PER"], {"PER"}, "'S-PER' is neither O nor B-TYPE nor I-TYPE"),
    ],
)
def test_labels_that_do_not_fit(labels: list[str], types: set[str], message: str) -> None:
    with pytest.raises(LabelError) as caught:
        match_labels(labels, types, {}, ())
    assert message in str(caught.value)
