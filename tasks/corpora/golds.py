"""Further annotations of a corpus's words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from nerbench.artifacts.errors import CorpusError
from nerbench.tasks.config import FIELDS_OF, DatasetConfig, GoldConfig
from nerbench.tasks.corpora.corpus import Corpus, annotation, read_whole
from nerbench.tasks.corpora.division import undivided
from nerbench.tasks.sources.readers import read_splits
from nerbench.tasks.sources.schemes import SchemeEvidence
from nerbench.tasks.sources.sentences import Sentence, Source


def load_gold(config: GoldConfig, dataset: DatasetConfig, words: Corpus) -> Corpus:
    """A further annotation of the sentences of `words`, whose documents it takes: only sentences are compared.

    Where `words` is a part of a divided source, it annotates that whole source, and the same part of it is taken.

    Its scheme is its own: declared, or recognised (`io` where the data set's is declared so). Its types are renamed and
    ignored, and its invalid tags repaired or refused, as the data set's.

    Raises:
        CorpusError: it cannot be read, its words are not those of `words` (names the first that differs), or a tag is
            invalid and to be refused.
    """
    its = _as_dataset(config, dataset, words.split)
    sources = read_splits(its)
    split = words.split if words.rows is None or "files" in FIELDS_OF[its.format] else undivided(sources)
    if split not in sources:
        problem = f"{config.file} has no {split} split"
        raise CorpusError(f"gold {config.name}", problem, f"it has {', '.join(sources)}")
    source = sources[split]
    if words.rows is not None:  # it annotates the whole source
        source = source._replace(sentences=_at(words.rows, source.sentences))
    evidence = SchemeEvidence(its.scheme, dataset.invalid)
    read = read_whole(source._replace(sentences=_with_same_words(source, words)), evidence)
    scheme = evidence.scheme("write the whole annotation in one scheme")
    return replace(words, name=config.name, **annotation(read, scheme, dataset, evidence.first_invalid(scheme)))


def _as_dataset(config: GoldConfig, dataset: DatasetConfig, split: str) -> DatasetConfig:
    kind = config.format or dataset.format
    base = dataset if kind == dataset.format else DatasetConfig.model_construct(name=dataset.name, format=kind)
    where = FIELDS_OF[kind][0]
    return base.model_copy(
        update={
            where: {split: config.file} if where == "files" else config.file,
            "columns": config.columns or base.columns,
            "scheme": config.scheme or ("io" if dataset.scheme == "io" else "auto"),
            "config": None,
            "revision": None,
            "split": None,
        }
    )


def _at(rows: Sequence[int], sentences: Iterable[Sentence]) -> Iterator[Sentence]:
    """The sentences at ascending positions."""
    wanted = iter(rows)
    following = next(wanted, None)
    for number, sentence in enumerate(sentences):
        if number == following:
            yield sentence
            following = next(wanted, None)


def _with_same_words(source: Source, corpus: Corpus) -> Iterator[Sentence]:
    """The sentences of a gold, whose words must be those of `corpus`."""
    remedy = f"a gold annotates the very words of {corpus.name}'s {corpus.split} split"
    words = iter(corpus.words)
    count = 0
    for theirs in source.sentences:
        ours = next(words, theirs.words)
        if theirs.words != ours:
            word = _first_difference(theirs.words, ours)
            there, here = (repr(s[word]) if word < len(s) else "the end of the sentence" for s in (theirs.words, ours))
            problem = f"{there} stands where {corpus.name} has {here} (sentence {count}, word {word})"
            raise CorpusError(source.place(theirs.at, min(word, len(theirs.words) - 1)), problem, remedy)
        count += 1
        yield theirs
    if count != len(corpus.words):
        problem = f"it has {count} sentences, {corpus.name} has {len(corpus.words)}"
        raise CorpusError(source.name, problem, remedy)


def _first_difference(theirs: list[str], ours: list[str]) -> int:
    shorter = min(len(theirs), len(ours))
    return next((i for i in range(shorter) if theirs[i] != ours[i]), shorter)
