"""The same corpus in every format has the same words and the same gold, by its digests."""

import itertools
import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest
from corpus_formats import FORMS, SMALL, Documents, Form, Sentence, Spans
from hypothesis import given, settings
from hypothesis import strategies as st

from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.inspection.guess_dataset import guess

WORDS = st.text("aZ0é東.,'\"-()/&;:€#", min_size=1, max_size=4).filter(lambda word: not word.startswith("#"))
LABELS = st.sampled_from(["PER", "LOC", "LOC-deriv"])


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    words = draw(st.lists(WORDS, min_size=1, max_size=8))
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=6)))
    spans: Spans = [(start, end, draw(LABELS)) for start, end in itertools.pairwise(cuts) if draw(st.booleans())]
    return Sentence(words, spans)


DOCUMENTS = st.lists(st.lists(sentences(), min_size=1, max_size=3), min_size=1, max_size=3)


def corpus_of(documents: Documents, form: Form, folder: Path, split: str = "test") -> Corpus:
    """The corpus read with the format that `init` guesses."""
    path = folder / form.file.format(split)
    form.write(documents, path)
    return load_splits(guess([f"test={path}", *form.answers]).dataset)["test"]


def expected(documents: Documents) -> Corpus:
    every = [(sentence, number) for number, document in enumerate(documents) for sentence in document]
    return Corpus(
        name="toy",
        split="test",
        words=[sentence.words for sentence, _ in every],
        tags=[sentence.tags for sentence, _ in every],
        documents=[number for _, number in every],
    )


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_the_small_corpus(tmp_path: Path, form: Form) -> None:
    found, wanted = corpus_of(SMALL, form, tmp_path), expected(SMALL)
    assert list(found.words) == list(wanted.words)
    assert list(found.tags) == list(wanted.tags)
    assert (found.words_sha256, found.gold_sha256) == (wanted.words_sha256, wanted.gold_sha256)
    assert found.n_repaired == 0


FIRST = [[Sentence(["Anna", "Berg", "met", "Oslo"], [(0, 2, "PER"), (3, 4, "LOC")])] * 2]
"""A prefix of generated sentences, so that each format is recognised."""


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(documents=DOCUMENTS)
def test_any_corpus(form: Form, documents: list[list[Sentence]]) -> None:
    if "2003" in form.name:  # it is written in Latin-1
        documents = [
            [Sentence([w.replace("東", "x").replace("€", "y") for w in s.words], s.spans) for s in d] for d in documents
        ]
    documents = [*FIRST, *documents]
    folder = Path(mkdtemp())
    try:
        found, wanted = corpus_of(documents, form, folder), expected(documents)
        assert (found.words_sha256, found.gold_sha256) == (wanted.words_sha256, wanted.gold_sha256)
    finally:
        shutil.rmtree(folder)
