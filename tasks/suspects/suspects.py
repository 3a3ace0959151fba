"""Finds the suspect annotations of a data set by stored predictions, and writes them to the table `suspects`."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from nerbench.artifacts.errors import InputError, NerbenchError
from nerbench.artifacts.manifest import ArtifactKey
from nerbench.artifacts.references import resolve
from nerbench.artifacts.store import Store
from nerbench.artifacts.tables.tables import table_key, write_table
from nerbench.tasks.comparison.flips import Entity
from nerbench.tasks.comparison.scored_runs import find_scored_run
from nerbench.tasks.config import Config, DatasetConfig
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.data.corpus_refs import CorpusRef, describe, open_corpus
from nerbench.tasks.scoring.entities import extract
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.stored_predictions import Predicted, PredictionsFile, read_predictions
from nerbench.tasks.scoring.tagged_words import with_types
from nerbench.tasks.suspects.occurrences import annotation_of
from nerbench.tasks.suspects.ranking import RANKING, WEIGHTS, Prediction, Suspect, rank

LOWEST = -4.0
"""The lowest score of a row: below it, fewer than one in fifty annotations is wrong."""
MOST = 10_000
"""Maximum number of rows of one ranking."""


class Found(NamedTuple):
    """A ranking, and what it is based on."""

    rows: list[Row]
    """Rows of the table `suspects`, the most suspect first."""
    annotation: CorpusRef
    models: tuple[str, ...]
    without: tuple[str, ...]
    """Models of a wildcard without stored predictions of these words."""


def pick_annotation(config: Config, dataset: DatasetConfig, gold: str | None) -> CorpusRef:
    """The wanted annotation of a data set's benchmark split; by default, its own. Raises InputError."""
    annotations = {one.gold_name: one for one in describe(config, dataset)}
    wanted = gold or dataset.name
    if wanted not in annotations:
        problem = f"{dataset.name} has no annotation {wanted}"
        raise InputError("--gold", problem, f"choose among {', '.join(annotations)}")
    return annotations[wanted]


def find_suspects(
    config: Config, dataset: DatasetConfig, gold: str | None, references: Sequence[str], now: datetime
) -> Found:
    """Rank the spans of an annotation by stored predictions, and write the result.

    Raises InputError if a named model has no stored predictions of these words, or if no model has any.
    """
    annotation = pick_annotation(config, dataset, gold)
    predicted, without = newest_predictions(config, annotation, references or config.benchmark.models)
    corpus = open_corpus(annotation)
    splits = load_splits(dataset)
    train = splits.get("train") if annotation.split != "train" else None
    found = rank_corpus(corpus, [read_predictions(config.results, one.uri) for one in predicted], train)
    about = _about(config, annotation, predicted) | {"started_at": now}
    kept = [one for one in found[:MOST] if one.score >= LOWEST]
    with_text = config.benchmark.text == "keep"
    rows = [about | _row(number, one, corpus, text=with_text) for number, one in enumerate(kept, start=1)]
    digests = sorted(one.predictions_digest for one in predicted)
    key = table_key(RANKING, annotation.words_sha256, annotation.gold_sha256, str(now), *digests)
    if rows:
        write_table(config.results, "suspects", rows, date=now.date().isoformat(), key=key)
    return Found(rows, annotation, tuple(one.model for one in predicted), without)


def rank_corpus(corpus: Corpus, files: Sequence[PredictionsFile], train: Corpus | None) -> list[Suspect]:
    """The suspects of a corpus by stored predictions of its words."""
    types = {*corpus.types, *(train.types if train else ()), *(kind for file in files for kind in file.types)}
    known = tuple(sorted(types))
    predictions = [_prediction(file, known, corpus) for file in files]
    return rank(annotation_of(corpus, known), predictions, annotation_of(train, known) if train else None)


def _prediction(file: PredictionsFile, types: tuple[str, ...], corpus: Corpus) -> Prediction:
    parts = [with_types(part, types) for part in file.parts(text=False)]
    scores = [np.full(len(one.gold), np.nan, np.float32) if one.score is None else one.score for one in parts]
    codes = np.concatenate([one.predicted for one in parts])
    return Prediction(extract(codes, corpus.sentence_starts, "conlleval"), np.concatenate(scores))


def newest_predictions(
    config: Config, annotation: CorpusRef, references: Iterable[str]
) -> tuple[list[Predicted], tuple[str, ...]]:
    """The newest stored predictions of the words by each model, and the models of wildcards that have none."""
    found: dict[str, Predicted] = {}
    without: list[str] = []
    for reference in references:
        is_wildcard = reference.partition("@")[0] == "*"
        named = (
            [f"{one.name}@sha256:{one.artifact_id}" for one in resolve(reference, config.store)]
            if is_wildcard
            else [reference]
        )
        for one in named:
            try:
                predicted = _newest(config, annotation, one)
            except InputError:
                if not is_wildcard:
                    raise
                without.append(one.partition("@")[0])
            else:
                found[predicted.artifact_id] = predicted
    if not found:
        problem = f"no model has stored predictions of {annotation.dataset.name}, {annotation.split}"
        raise InputError("--models", problem, "run `nerbench benchmark` first")
    return list(found.values()), tuple(without)


def _newest(config: Config, annotation: CorpusRef, reference: str) -> Predicted:
    name = annotation.dataset.name
    scored = find_scored_run(reference, config.store, config.results, dataset=name).scored
    same = [one for one in scored if one.words_sha256 == annotation.words_sha256]
    if not same:
        problem = f"was scored on other words of {name} than those of its {annotation.split} split"
        raise InputError(f"model {reference}", problem, f"run `nerbench benchmark {reference}` again")
    return same[0]


def _about(config: Config, annotation: CorpusRef, predicted: Sequence[Predicted]) -> Row:
    store = Store(config.store)
    return {
        "ranking": RANKING,
        "words_sha256": annotation.words_sha256,
        "gold_sha256": annotation.gold_sha256,
        "dataset": annotation.dataset.name,
        "gold": annotation.gold_name,
        "split": annotation.split,
        "models": [one.model for one in predicted],
        "artifact_ids": [one.artifact_id for one in predicted],
        "predictions_digests": [one.predictions_digest for one in predicted],
        "seeds": [_seed(store, one) for one in predicted],
    }


def _seed(store: Store, predicted: Predicted) -> int | None:
    """The seed in the manifest; None if the model is no longer in the store, or was not trained here."""
    try:
        return store.manifest(ArtifactKey(name=predicted.model, artifact_id=predicted.artifact_id)).provenance.seed
    except NerbenchError:
        return None


def _row(position: int, suspect: Suspect, corpus: Corpus, *, text: bool) -> Row:
    words = corpus.words[suspect.sentence]
    scopes = {"document": suspect.in_document, "split": suspect.in_split, "train": suspect.in_train}
    return {
        "position": position,
        **{name: getattr(suspect, name) for name in ("score", "kind", "document", "sentence", "start", "end")},
        "text": " ".join(words[suspect.start : suspect.end]) if text else None,
        "sentence_text": " ".join(words) if text else None,
        **_columns("gold", suspect.gold),
        **_columns("proposed", suspect.proposed),
        "opinions": [opinion.reading for opinion in suspect.opinions],
        "confidences": [opinion.confidence for opinion in suspect.opinions],
        **{f"{name}_gold": found.gold for name, found in scopes.items()},
        **{f"{name}_proposed": found.proposed for name, found in scopes.items()},
        "prior": suspect.prior,
        **{f"term_{name}": WEIGHTS[name] * value for name, value in suspect.evidence._asdict().items()},
    }


def _columns(side: str, entities: Sequence[Entity]) -> Row:
    starts, ends, labels = ([one[at] for one in entities] for at in range(3))
    return {f"{side}_start": starts, f"{side}_end": ends, f"{side}_label": labels}
