"""How well suspect annotations are ranked, beside plain confidence and cleanlab's token classification ranking.

An annotation of a benchmark's results is ranked, and a correction of the same words gives the wrong sentences:

    python tests/benchmarks/suspects_ranking.py -c nerbench.yaml --gold conll2003 --truth conllpp/test.txt \\
        --models minilm-l6 --models minilm-l6-s1 --models minilm-l6-s2 --models minilm-l3

Weights were tuned on the documents with even numbers, so those with odd numbers count; the interval is a paired
bootstrap over these. As a check against luck, the weights are also fitted again to each half of the documents, and rank
the other half. Sentences of the correction with other words are left out. cleanlab is left out if it is not
installed. It ranks twice: by the stored scores (the rest of the probability spread evenly over the other tags), which
is all that `nerbench suspects` sees, and with `--infer` by the models' whole distributions.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from nerbench.artifacts.references import materialise, resolve_one
from nerbench.tasks.config import Config, DatasetConfig
from nerbench.tasks.config.loading import load_config
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.data.corpus_refs import open_corpus
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.scoring.stored_predictions import PredictionsFile, read_predictions
from nerbench.tasks.suspects import ranking, suspects
from nerbench.tasks.suspects.ranking import Suspect

Floats = np.ndarray[Any, np.dtype[np.float64]]
CUTS = (50, 100, 200)
RESAMPLES = 1000


class Truth(NamedTuple):
    """The sentences that a correction changes."""

    known: np.ndarray[Any, np.dtype[np.bool_]]
    """(sentences,) whether it has the same words."""
    wrong: np.ndarray[Any, np.dtype[np.bool_]]
    """(sentences,) whether it has other tags."""
    tags: dict[int, Sequence[str]]
    """The corrected tags of the sentences with the same words."""


def read_truth(corpus: Corpus, path: str) -> Truth:
    """Compare the annotation with a CoNLL file, sentence by sentence."""
    config = DatasetConfig(name="truth", files={"test": path})
    other = load_splits(config)["test"]
    ours, theirs = ([tuple(words) for words in one.words] for one in (corpus, other))
    matches = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    tags = {at + n: other.tags[there + n] for at, there, size in matches for n in range(size)}
    known = np.array([number in tags for number in range(len(ours))])
    wrong = np.array([tags.get(number, own) != own for number, own in enumerate(corpus.tags)])
    return Truth(known, wrong, tags)


def label_probabilities(files: Sequence[PredictionsFile], tags: Sequence[str], n_words: int) -> Floats:
    """(words, tags) mean over the models; the rest of each score is spread evenly over the other tags."""
    total = np.zeros((n_words, len(tags)))
    for file in files:
        codes = {tag: tags.index(tag) for tag in tag_vocabulary(file.types)}
        names = tag_vocabulary(file.types)
        for part in file.parts(text=False):
            at = np.arange(part.first_word, part.first_word + len(part.gold))
            score = np.nan_to_num(np.ones(len(at)) if part.score is None else part.score, nan=1.0)
            rest = ((1 - score) / (len(tags) - 1))[:, None]
            columns = np.array([codes[name] for name in names])[part.predicted]
            spread = np.repeat(rest, len(tags), axis=1)
            spread[np.arange(len(at)), columns] = score
            total[at] += spread
    return total / len(files)


def inferred_probabilities(config: Config, models: Sequence[str], corpus: Corpus, tags: Sequence[str]) -> Floats:
    """(words, tags) mean over the models of the distribution at each word's first token."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    total = np.zeros((corpus.n_words, len(tags)))
    ends = np.cumsum(corpus.lengths)
    order = np.argsort(-corpus.lengths, kind="stable")
    for name in models:
        folder = materialise(resolve_one(name, config.store))
        model = AutoModelForTokenClassification.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        columns = [tags.index(model.config.id2label[number]) for number in range(model.config.num_labels)]
        for first in range(0, len(order), 32):
            numbers = order[first : first + 32].tolist()
            batch = tokenizer(
                [corpus.words[number] for number in numbers],
                is_split_into_words=True,
                truncation=True,
                padding=True,
                return_tensors="pt",
            )
            with torch.inference_mode():
                found = model(**batch).logits.softmax(-1).numpy()
            for row, number in enumerate(numbers):
                start = int(ends[number] - corpus.lengths[number])
                words = batch.word_ids(row)
                firsts = {word: at for at, word in reversed([*enumerate(words)]) if word is not None}
                for word in range(int(corpus.lengths[number])):
                    if word in firsts:
                        total[start + word, columns] += found[row, firsts[word]]
                    else:
                        total[start + word] += 1 / len(tags)
    return total / len(models)


def confidence(corpus: Corpus, probabilities: Floats, tags: Sequence[str]) -> Floats:
    """(sentences,) suspicion: one less the lowest probability of an annotated tag."""
    gold = [tags.index(tag) for sentence in corpus.tags for tag in sentence]
    of_words = probabilities[np.arange(len(gold)), gold]
    starts = np.cumsum(corpus.lengths) - corpus.lengths
    lowest: Floats = 1 - np.minimum.reduceat(of_words, starts)
    return lowest


def by_cleanlab(corpus: Corpus, probabilities: Floats, tags: Sequence[str]) -> Floats | None:
    """(sentences,) suspicion by cleanlab; None if it is not installed."""
    try:
        from cleanlab.token_classification.rank import get_label_quality_scores
    except ImportError as error:
        print(f"cleanlab is left out: {error}", file=sys.stderr)
        return None
    bounds = np.cumsum(corpus.lengths)[:-1]
    labels = [[tags.index(tag) for tag in sentence] for sentence in corpus.tags]
    quality, _ = get_label_quality_scores(labels, np.split(probabilities, bounds))
    return 1 - np.asarray(quality)


def by_suspects(found: Sequence[Suspect], otherwise: Floats) -> Floats:
    """(sentences,) the highest score of a sentence's suspects; those without any follow, by confidence."""
    scores = otherwise - 100
    for one in found:
        scores[one.sentence] = max(scores[one.sentence], one.score)
    return scores


def by_other_half(found: Sequence[Suspect], corpus: Corpus, truth: Truth, document: Any, otherwise: Floats) -> Floats:
    """(sentences,) as `by_suspects`, by weights that a logistic regression fits to the other half of the documents."""
    known = [one for one in found if one.sentence in truth.tags]
    sentence = np.array([one.sentence for one in known])
    wrong = np.array([_tags(corpus.tags, one) != _tags(truth.tags, one) for one in known])
    features = np.array([[*one.evidence, one.prior < ranking.PRIOR] for one in known])
    deviation = features.std(axis=0)
    features /= np.where(deviation > 0, deviation, 1)  # without documents, some features are constant
    scores = otherwise - 100
    for half in (0, 1):
        here = document[sentence] % 2 == half
        fitted = LogisticRegression().fit(features[~here], wrong[~here])
        np.maximum.at(scores, sentence[here], fitted.decision_function(features[here]))
    return scores


def _tags(tags: Any, suspect: Suspect) -> list[str]:
    return list(tags[suspect.sentence][suspect.start : suspect.end])


class Figures(NamedTuple):
    """How good a ranking is."""

    ap: float
    precision: dict[int, float]


def figures(scores: Floats, wrong: Any) -> Figures:
    order = np.argsort(-scores, kind="stable")
    return Figures(
        float(average_precision_score(wrong, scores)), {cut: float(wrong[order[:cut]].mean()) for cut in CUTS}
    )


def paired(ours: Floats, theirs: Floats, wrong: Any, document: Any) -> tuple[float, float, float]:
    """The difference in average precision with its 95 % interval: a bootstrap over documents."""
    _, number = np.unique(document, return_inverse=True)
    n_documents = int(number.max()) + 1
    draws = np.random.default_rng(0).multinomial(n_documents, np.full(n_documents, 1 / n_documents), size=RESAMPLES)
    weights = np.vstack([np.ones(len(wrong)), draws[:, number]])
    found = weighted_precision(ours, wrong, weights) - weighted_precision(theirs, wrong, weights)
    low, high = np.nanpercentile(found[1:], [2.5, 97.5])
    return float(found[0]), float(low), float(high)


def weighted_precision(scores: Floats, wrong: Any, weights: Floats) -> Floats:
    """(resamples,) average precision with (resamples, sentences) weights, as scikit-learn defines it, all at once."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[order], append=-np.inf))
    positive = np.cumsum(weights[:, order] * wrong[order], axis=1)[:, last]
    total = np.cumsum(weights[:, order], axis=1)[:, last]
    gained = np.diff(positive, axis=1, prepend=0)
    precision: Floats = np.sum(gained * positive / np.maximum(total, 1), axis=1) / positive[:, -1]
    return precision


def main() -> None:
    """Print one table for all documents, the tuned half and the other half, and the paired differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-c", "--config", type=Path, required=True)
    parser.add_argument("--dataset")
    parser.add_argument("--gold")
    parser.add_argument("--truth", required=True)
    parser.add_argument("--models", action="append", default=[])
    parser.add_argument("--infer", action="store_true")
    given = parser.parse_args()
    config = load_config(given.config)
    named = {one.name: one for one in config.datasets}
    dataset = named[given.dataset or next(iter(named))]
    started = time.perf_counter()
    annotation = suspects.pick_annotation(config, dataset, given.gold)
    predicted, _ = suspects.newest_predictions(config, annotation, given.models or config.benchmark.models)
    files = [read_predictions(config.results, one.uri) for one in predicted]
    corpus = open_corpus(annotation)
    found = suspects.rank_corpus(corpus, files, load_splits(dataset).get("train"))
    print(f"{len(found):,} suspects found by {len(files)} models in {time.perf_counter() - started:.1f} s")
    tags = tag_vocabulary(sorted({*corpus.types, *(kind for file in files for kind in file.types)}))
    truth = read_truth(corpus, given.truth)
    stored = label_probabilities(files, tags, corpus.n_words)
    plain = confidence(corpus, stored, tags)
    document = np.asarray(corpus.documents if corpus.documents is not None else range(len(corpus.words)))
    ways: dict[str, Floats | None] = {
        "nerbench suspects": by_suspects(found, plain),
        "nerbench suspects, fitted to the other half": by_other_half(found, corpus, truth, document, plain),
        "plain confidence": plain,
        "cleanlab": by_cleanlab(corpus, stored, tags),
    }
    if given.infer:
        whole = inferred_probabilities(config, [one.model for one in predicted], corpus, tags)
        ways["plain confidence, whole distributions"] = confidence(corpus, whole, tags)
        ways["cleanlab, whole distributions"] = by_cleanlab(corpus, whole, tags)
    for name, part in (("all", document >= 0), ("even (tuned)", document % 2 == 0), ("odd", document % 2 == 1)):
        within = part & truth.known
        wrong = truth.wrong[within]
        print(f"\n{name} documents: {within.sum():,} sentences, {wrong.sum()} wrong")
        for way, scores in ways.items():
            if scores is not None:
                ap, precision = figures(scores[within], wrong)
                at = "  ".join(f"P@{cut} {value:.3f}" for cut, value in precision.items())
                print(f"  {way:43} AP {ap:.3f}  {at}")
        ours = ways["nerbench suspects"]
        for way, scores in ways.items():
            if scores is not None and scores is not ours and ours is not None:
                delta, low, high = paired(ours[within], scores[within], wrong, document[within])
                print(f"  AP above {way}: {delta:+.3f} ({low:+.3f} … {high:+.3f})")


if __name__ == "__main__":
    main()
