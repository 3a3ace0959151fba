"""Small references to the words and the annotation that a step works on, and the corpora that they refer to."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from functools import partial
from threading import Lock
from typing import NamedTuple

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.errors import CorpusError, LabelError
from nerbench.artifacts.memoized_reads import once
from nerbench.tasks.config import Config, DatasetConfig, GoldConfig, Perturbation, Section, Split
from nerbench.tasks.data.corpus import (
    Corpus,
    as_dataset,
    file_versions,
    load_gold,
    load_splits,
    pick_split,
    warn_of_alignment,
    warn_of_repairs,
)
from nerbench.tasks.data.perturbations import count_changes, no_train_split, perturb

KEPT_IN_MEMORY = 16
"""A data set with its golds and all its perturbations; their words lie on disk."""


class CorpusRef(Section):
    """One annotation of one split of a data set, with the digests that `open_corpus` checks."""

    dataset: DatasetConfig
    split: Split
    gold: GoldConfig | None = None
    """An additional annotation of the words; None for that of the data set."""
    perturbation: Perturbation | None = None
    """What changed the words; None for those of the data set."""
    changed_words: int = 0
    """Words that the perturbation changed."""
    changed_sentences: int = 0
    """Sentences with such words."""
    words_sha256: str
    gold_sha256: str
    source_sha256: str = ""
    """As in `Digests`."""
    types: tuple[str, ...]
    """The entity types of all splits and golds, which a model must know by name."""
    n_repaired: int = 0
    """Number of tags of the annotation that were repaired."""
    n_unaligned: int | None = None
    """Number of entities of an annotation with other words that the data set lacks; None if the words are the same."""
    n_left_out: int | None = None
    """Number of words of the data set that such an annotation lacks."""

    @property
    def gold_name(self) -> str:
        """The name in the `gold` column."""
        return self.gold.name if self.gold else self.dataset.name

    @property
    def place(self) -> str:
        """The name of the data set, with the perturbation if there is one: `conllpp (lower)`."""
        return f"{self.dataset.name} ({self.perturbation.name})" if self.perturbation else self.dataset.name


class Digests(NamedTuple):
    """The digests that identify a corpus."""

    words_sha256: str
    gold_sha256: str
    source_sha256: str
    """Digest of the origin of each word in the data set (`Alignment.source`); empty if the words are the same."""


_open: OrderedDict[Digests, Corpus] = OrderedDict()
_lock = Lock()


def describe(config: Config, dataset: DatasetConfig) -> list[CorpusRef]:
    """References to the benchmark split of a data set: its own annotation first, then each additional gold.

    Within `read_once`, unchanged local files are described once. Raises CorpusError if a file cannot be read, or if
    `robustness` needs a train split that is missing; and LabelError if `benchmark.labels` or `robustness.mentions`
    names a type that is missing.
    """
    split, golds = config.benchmark.split, [gold for gold in config.golds if gold.dataset == dataset.name]
    versions = [file_versions(one) for one in (dataset, *(as_dataset(gold, dataset, split) for gold in golds))]
    if None in versions:
        return _describe(config, dataset, golds)
    described = repr((dataset, golds, split, config.benchmark.labels, config.robustness))
    return once("corpora", (described, *versions), partial(_describe, config, dataset, golds))


def _describe(config: Config, dataset: DatasetConfig, golds: Sequence[GoldConfig]) -> list[CorpusRef]:
    splits = load_splits(dataset)
    words = pick_split(splits, config.benchmark.split, dataset)
    annotations: list[tuple[GoldConfig | None, Corpus]] = [(None, words)]
    annotations += [(gold, load_gold(gold, dataset, words)) for gold in golds]
    corpora = [*splits.values(), *(corpus for _, corpus in annotations)]
    types = tuple(sorted({kind for corpus in corpora for kind in corpus.types}))
    labels = config.benchmark.labels
    _check_types("benchmark.labels", () if labels == "all" else labels, dataset.name, types, "give `all`")
    if config.robustness:
        _check_types("robustness.mentions", config.robustness.mentions, dataset.name, types)
        if config.robustness.needs_training and "train" not in splits:
            raise no_train_split(dataset.name)
    return [
        CorpusRef(
            dataset=dataset,
            split=config.benchmark.split,
            gold=gold,
            types=types,
            n_repaired=corpus.n_repaired,
            n_unaligned=corpus.alignment and corpus.alignment.n_unaligned,
            n_left_out=corpus.alignment and corpus.alignment.n_left_out,
            **_keep(corpus)._asdict(),
        )
        for gold, corpus in annotations
    ]


def read_corpus(config: Config, dataset: DatasetConfig) -> list[CorpusRef]:
    """Like `describe`, with a warning if tags were repaired or if an annotation has other words."""
    found = describe(config, dataset)
    for ref in found:
        kind = "gold" if ref.gold else "data set"
        for warn in (warn_of_repairs, warn_of_alignment):
            warn(f"{kind} {ref.gold_name}, {ref.split}", open_corpus(ref))
    return found


def perturb_corpus(config: Config, clean: CorpusRef) -> list[CorpusRef]:
    """References to the perturbed copies of a data set under its own annotation; none without `robustness`.

    Raises CorpusError if there is no mention for `entity_swap`.
    """
    if config.robustness is None:
        return []
    corpus, training = open_corpus(clean), load_splits(clean.dataset).get("train")
    found = []
    for perturbation in config.robustness.each:
        changed = perturb(corpus, perturbation, training)
        words, sentences = count_changes(corpus, changed)
        of_words = {"changed_words": words, "changed_sentences": sentences}
        found.append(clean.model_copy(update={"perturbation": perturbation, **of_words, **_keep(changed)._asdict()}))
    return found


def open_corpus(ref: CorpusRef) -> Corpus:
    """The corpus of a reference, from memory or read again. Raises CorpusError if it has changed."""
    wanted = Digests(ref.words_sha256, ref.gold_sha256, ref.source_sha256)
    with _lock:
        if wanted in _open:
            _open.move_to_end(wanted)
            return _open[wanted]
    splits = load_splits(ref.dataset)
    words = splits[ref.split]
    corpus = load_gold(ref.gold, ref.dataset, words) if ref.gold else words
    if ref.perturbation:
        corpus = perturb(corpus, ref.perturbation, splits.get("train"))
    if _keep(corpus) != wanted:
        raise CorpusError(f"data set {ref.dataset.name}", "changed while the run was reading it", "run again")
    return corpus


def _check_types(
    field: str, wanted: Collection[str], dataset: str, types: tuple[str, ...], otherwise: str = "leave it out"
) -> None:
    if unknown := [label for label in wanted if label not in types]:
        problem = f"{unknown[0]} is not an entity type of {dataset}"
        raise LabelError(field, problem, f"choose among {', '.join(types) or 'none'}, or {otherwise}")


def _keep(corpus: Corpus) -> Digests:
    source = sha256_hex(corpus.alignment.source.tobytes()) if corpus.alignment else ""
    digests = Digests(corpus.words_sha256, corpus.gold_sha256, source)
    with _lock:
        _open[digests] = corpus
        while len(_open) > KEPT_IN_MEMORY:
            _open.popitem(last=False)
    return digests
