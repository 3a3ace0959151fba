"""A user's text in a card is kept, and a second rendering changes nothing."""

from itertools import pairwise

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nerbench.tasks.publishing.card import BEGIN, END, merge

OURS = f"---\nlibrary_name: transformers\ntags:\n- ner\n---\n\n{BEGIN}\n# tagger\n\nnew\n{END}\n"


def split(card: str) -> tuple[dict[str, object], str]:
    _, data, text = card.split("---\n", 2)
    return yaml.safe_load(data), text


def test_a_first_card_is_the_rendered_card() -> None:
    assert merge(OURS, None) == merge(OURS, "") == OURS
    assert merge(OURS, OURS) == OURS


def test_text_around_the_marks_stays() -> None:
    existing = OURS.replace("new", "old").replace(BEGIN, f"Our own introduction.\n\n{BEGIN}") + "\n## Contact\n\nAda\n"
    merged = merge(OURS, existing)
    assert merged == existing.replace("old", "new")
    assert merge(OURS, merged) == merged


def test_a_card_of_someone_else_is_kept_whole() -> None:
    data, text = split(merge(OURS, "---\nlicense: mit\ntags: [legal, ner]\n---\n# Theirs\n\ntext\n"))
    assert data == {"library_name": "transformers", "tags": ["ner", "legal"], "license": "mit"}
    assert text == f"# Theirs\n\ntext\n\n{BEGIN}\n# tagger\n\nnew\n{END}\n"


def test_the_generated_part_is_replaced() -> None:
    stale = {"name": "old", "results": [{"task": {"type": "x"}, "dataset": {"type": "y", "name": "y"}, "metrics": []}]}
    existing = OURS.replace("transformers", "flair").replace("tags", f"model-index: {[stale]}\ntags")
    assert merge(OURS, existing) == OURS


def test_a_broken_card_costs_nothing_but_its_metadata() -> None:
    for metadata in ("a: [", "- list", "x", "eval_results: 3\nmodel_name: x"):
        assert "kept" in merge(OURS, f"---\n{metadata}\n---\nkept\n")
    half = OURS.replace(END, "") + "kept\n"
    once = merge(OURS, half)
    assert "kept" in once
    assert merge(OURS, once) == once
    assert once.count(BEGIN) == once.count(END) == 1


def test_windows_line_ends() -> None:
    merged = merge(OURS, OURS.replace("new", "old").replace("\n", "\r\n") + "kept\r\n")
    assert merged == OURS + "kept\n"


lines = st.lists(st.sampled_from(["text", "", BEGIN, END, "---", "# heading", f"a {END}", "| a |"]), max_size=8)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(user=lines)
def test_no_line_outside_the_marks_is_lost(user: list[str]) -> None:
    once = merge(OURS, "---\nlicense: mit\n---\n" + "\n".join(["first", *user, "last"]) + "\n")
    assert merge(OURS, once) == once
    assert once.splitlines().count(BEGIN) == once.splitlines().count(END) == 1
    marks = [at for at, one in enumerate(user) if one in (BEGIN, END)]
    pairs = [(a, b) for a, b in pairwise(marks) if (user[a], user[b]) == (BEGIN, END)]
    inside = range(*pairs[0]) if pairs else range(0)
    expected = ["first", *(one for at, one in enumerate(user) if at not in {*inside, *marks}), "last"]
    shown = split(once)[1].splitlines()
    outside = shown[: shown.index(BEGIN)] + shown[shown.index(END) + 1 :]
    assert [one for one in outside if one] == [one for one in expected if one]
