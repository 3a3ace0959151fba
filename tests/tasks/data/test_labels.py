"""IOB2 tags and their types."""

from nerbench.tasks.data.tag_schemes import entity_types, tag_vocabulary, type_of


def test_types_and_their_tags() -> None:
    assert type_of("I-LOC-deriv") == "LOC-deriv"
    assert type_of("O") is None
    assert entity_types(["O", "I-PER", "B-LOC", "B-PER"]) == ["LOC", "PER"]
    assert tag_vocabulary(["PER", "LOC"]) == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert entity_types(tag_vocabulary(["X"])) == ["X"]
