"""Suspects in words, for terminals, pages and annotation tools."""

from typing import NamedTuple

from nerbench.tasks.scoring.metrics import Row


class Wording(NamedTuple):
    """One row of the table `suspects` in words."""

    gold: str
    """`LOC Florence, PER Masnada`, or `nothing`."""
    proposed: str
    evidence: str


def in_words(row: Row) -> Wording:
    """The annotation, the proposal, and the evidence for it."""
    return Wording(_entities(row, "gold"), _entities(row, "proposed"), evidence(row))


def words_of(row: Row) -> list[str] | None:
    """The words of the sentence; None if they are not stored, or if a word contains blanks."""
    if row["sentence_text"] is None:
        return None
    words: list[str] = row["sentence_text"].split(" ")
    return words if " ".join(words[row["start"] : row["end"]]) == row["text"] else None


def _entities(row: Row, side: str) -> str:
    """The entities of one side; their words, or positions without text, if they are not the whole region."""
    words = words_of(row)
    parts = []
    for start, end, label in zip(row[f"{side}_start"], row[f"{side}_end"], row[f"{side}_label"], strict=True):
        shown = f"{start}:{end}" if words is None else " ".join(words[start:end])
        parts.append(label if (start, end) == (row["start"], row["end"]) else f"{label} {shown}")
    return ", ".join(parts) or "nothing"


def evidence(row: Row) -> str:
    """The models that predict the proposal, and how its strings are annotated elsewhere.

    `1 of 2 models predicts it: tiny (seed 3) 0.91; in train: 12 as proposed, 0 as here`
    """
    agreeing = [
        (model, seed, confidence)
        for model, seed, opinion, confidence in zip(
            row["models"], row["seeds"], row["opinions"], row["confidences"], strict=True
        )
        if opinion == "proposal"
    ]
    named = ", ".join(
        f"{model}{'' if seed is None else f' (seed {seed})'}{'' if confidence is None else f' {confidence:.2f}'}"
        for model, seed, confidence in agreeing
    )
    n_models = len(row["models"])
    who = "the only model" if len(agreeing) == n_models == 1 else f"{len(agreeing) or 'none'} of {n_models} models"
    parts = [f"{who} {'predict' if len(agreeing) > 1 else 'predicts'} it{f': {named}' if named else ''}"]
    for scope, where in (("document", "in the document"), ("split", "in other documents"), ("train", "in train")):
        as_gold, as_proposed = row[f"{scope}_gold"], row[f"{scope}_proposed"]
        if as_gold or as_proposed:
            parts.append(f"{where}: {as_proposed} as proposed, {as_gold} as here")
    return "; ".join(parts)
