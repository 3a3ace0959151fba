"""Allowed pairs of tags, against entities written in each scheme."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nerbench.tasks.data.tag_schemes import Scheme, Tag, split_tag
from nerbench.tasks.inspection.tag_transitions import is_allowed, neighbours, violations

OUTSIDE = Tag("O", "")


def written(entities: list[tuple[int, str]], scheme: Scheme) -> list[str]:
    """The tags of entities (number of words, type) in a scheme; 0 words mean an `O`."""
    tags, last = [], ""
    for size, kind in entities:
        if not size:
            tags.append("O")
        elif scheme in ("iob2", "iob1"):
            first = "B" if scheme == "iob2" or last == kind else "I"
            tags += [f"{first}-{kind}", *[f"I-{kind}"] * (size - 1)]
        else:
            single, end = ("S", "E") if scheme == "bioes" else ("U", "L")
            tags += [f"{single}-{kind}"] if size == 1 else [f"B-{kind}", *[f"I-{kind}"] * (size - 2), f"{end}-{kind}"]
        last = kind if size else ""
    return tags


def pairs(tags: list[str]) -> list[tuple[Tag, Tag]]:
    split = [split_tag(tag, "auto") or OUTSIDE for tag in tags]
    return list(pairwise([OUTSIDE, *split, OUTSIDE]))


ENTITIES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["PER", "LOC"])), max_size=8)


@pytest.mark.parametrize("scheme", ["iob2", "iob1", "bioes", "bilou"])
@given(entities=ENTITIES)
def test_tags_written_by_a_scheme_are_allowed(scheme: Scheme, entities: list[tuple[int, str]]) -> None:
    assert all(is_allowed(before, tag, scheme) for before, tag in pairs(written(entities, scheme)))


@pytest.mark.parametrize("scheme", ["iob2", "iob1", "bioes", "bilou"])
def test_tags_that_no_entities_are_written_as_are_not_allowed(scheme: Scheme) -> None:
    """Exactly the pairs that occur in the tags of at most three entities are allowed."""
    sizes = list(product(range(5), ["PER", "LOC"]))
    occurring = {
        pair for n in range(4) for some in product(sizes, repeat=n) for pair in pairs(written([*some], scheme))
    }
    letters = "OBIESLU"
    tags = [OUTSIDE, *(Tag(letter, kind) for letter in letters[1:] for kind in ("PER", "LOC"))]
    allowed = {(before, tag) for before, tag in product(tags, tags) if is_allowed(before, tag, scheme)}
    assert allowed == occurring | {(OUTSIDE, OUTSIDE)}


@given(st.lists(st.lists(st.sampled_from(["O", "B-X", "I-X", "I-Y"]), min_size=1, max_size=5), min_size=1, max_size=6))
def test_adjacent_tags_are_counted_over_all_sentences(sentences: list[list[str]]) -> None:
    labels = sorted({tag for tags in sentences for tag in tags})
    codes = np.array([labels.index(tag) for tags in sentences for tag in tags], np.intc)
    found = neighbours(labels, codes, np.array([len(tags) for tags in sentences]))
    expected = [pair for tags in sentences for pair in pairwise([None, *tags, None])]
    assert {(one.before, one.tag): one.times for one in found} == {pair: expected.count(pair) for pair in expected}
    flat = [tag for tags in sentences for tag in tags]
    assert all(flat[one.first] == (one.tag or one.before) for one in found)
    wrong = sum(one.times for one in violations(found, "iob2", "auto"))
    assert wrong == sum(
        tag is not None and tag[0] == "I" and (before is None or before[1:] != tag[1:]) for before, tag in expected
    )
