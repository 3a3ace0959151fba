"""What an inspection found as small tables, for the page about a run."""

from typing import Any

from nerbench.tasks.inspection.facts import DatasetFacts, Inspection

Rows = list[dict[str, Any]]


def sections(inspection: Inspection) -> dict[str, Rows]:
    """Tables by their heading: splits, entity types, what splits share; no word of the data."""
    found = {
        "Splits": [row for one in inspection.datasets for row in _splits(one)],
        "Entities by type": [row for one in inspection.datasets for row in _labels(one)],
        "Shared between splits": [row for one in inspection.datasets for row in _overlaps(one)],
    }
    return {heading: rows for heading, rows in found.items() if rows}


def _splits(dataset: DatasetFacts) -> Rows:
    return [
        {
            "data set": dataset.name,
            "split": one.split,
            "documents": one.documents,
            "sentences": one.sentences,
            "words": one.words,
            "entities": one.entities,
            "median length": one.lengths.median,
            "longest": one.lengths.greatest,
            "duplicates": one.duplicates,
            "invalid tags": one.n_invalid,
        }
        for one in dataset.splits
    ]


def _labels(dataset: DatasetFacts) -> Rows:
    return [
        {
            "data set": dataset.name,
            "split": split.split,
            "type": one.label,
            "entities": one.entities,
            "share, %": round(100 * one.share, 1),
            "distinct": one.distinct,
            "seen in train": one.seen,
        }
        for split in dataset.splits
        for one in split.labels
    ]


def _overlaps(dataset: DatasetFacts) -> Rows:
    return [
        {
            "data set": dataset.name,
            "split": one.split,
            "earlier": one.earlier,
            "sentences": one.sentences,
            "of them, %": round(100 * one.sentence_share, 1),
            "entities": one.entities,
            "of those, %": round(100 * one.entity_share, 1),
        }
        for one in dataset.overlaps
    ]
