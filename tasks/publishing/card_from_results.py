"""The sections of a model card from the result tables: scores with intervals, weak points, speed and memory."""

from collections.abc import Iterable

from nerbench.artifacts.manifest import Manifest
from nerbench.tasks.config.schema_base import MODES
from nerbench.tasks.publishing.card_evidence import AnnotationScores, Evidence
from nerbench.tasks.publishing.markdown_escaping import line, name, names, table, text, whole
from nerbench.tasks.results.query import used_memory
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.metrics import Row
from nerbench.tasks.scoring.slices import EVERYTHING

NO_SCORES = "None: this model was not benchmarked, or its result tables were not available."
SLICES = {
    "seen": "mentions that occur in the training data, with their type",
    "unseen": "mentions that do not",
    "length_1": "mentions of one word",
    "length_2": "of two words",
    "length_3": "of three words",
    "length_4+": "of four words or more",
    "sentence_length_1-10": "in sentences of up to 10 words",
    "sentence_length_11-20": "in sentences of 11 to 20 words",
    "sentence_length_21-30": "in sentences of 21 to 30 words",
    "sentence_length_31+": "in sentences of 31 words and more",
    "all_caps": "in sentences without lower-case letters",
    "duplicated": "in sentences that occur earlier in the corpus too",
    "first_sentence": "in the first sentence of a document",
    "later_sentence": "in a later sentence",
}
"""Descriptions of the standard slices."""
_USED = {
    True: "The model was trained on these words: the scores do not apply to new text.",
    False: "The best epoch was chosen by these words: expect slightly lower scores on new text.",
}
FEW = 100
"""Minimum number of entities of a group that is not small."""


def headlines(evidence: Evidence, manifest: Manifest) -> list[str]:
    """A sentence for each annotation: strict F1, its interval, the corpus, and whether training used it."""
    used = {corpus.words_sha256: corpus.split == "train" for corpus in manifest.provenance.corpora}
    found = []
    for one in evidence.annotations:
        if row := one.find("strict", "f1"):
            size = f"{row['n_gold']:,} entities" + (
                f" in {row['n_documents']:,} documents" if row["n_documents"] else ""
            )
            sentence = f"**Strict F1 {_points(row)}** on {_about(one)}, {size}{_confidence(row)}."
            known = "" if one.words_sha256 not in used else f" **{_USED[used[one.words_sha256]]}**"
            found.append(sentence + known)
    return found


def results(evidence: Evidence) -> list[str]:
    """For each annotation a heading, the scores by mode and by type, and the calibration."""
    if not evidence.annotations:
        return [NO_SCORES]
    found = []
    for one in evidence.annotations:
        notes = repaired(one.find("tag", "accuracy")), aligned(one.find("strict", "f1"))
        found += [f"### {_about(one)}", *notes, _modes(one), _by_type(one), _beside(one)]
    if len(evidence.annotations) > 1:
        sentence = "The same predictions are scored against several annotations of the same words."
        found.insert(0, sentence)
    return [one for one in found if one]


def repaired(tokens: Row | None) -> str:
    """A sentence on the repaired tags of an annotation, from its row of token accuracy; empty if there are none."""
    count = (tokens or {}).get("n_repaired")
    of = f" of {tokens['n_gold']:,}" if tokens and tokens["n_gold"] is not None else ""
    return f"{count:,}{of} tags repaired (I- without B-, read as B-)." if count else ""


def aligned(entities: Row | None) -> str:
    """What an annotation with other words lacks, by its row of strict F1; empty for one with the same words."""
    if not entities or entities.get("n_unaligned") is None:
        return ""
    return (
        f"The annotation has other words and is aligned by characters: {entities['n_unaligned']:,} of "
        f"{entities['n_gold']:,} entities are not in the text of the data set and count as missed; "
        f"{entities['n_left_out']:,} words of the data set are not annotated and are left out."
    )


def limitations(evidence: Evidence) -> list[str]:
    """The weak points of the model, by slice and type, for the main annotation of each corpus."""
    own = {(one.dataset, one.split, one.dtype): one for one in reversed(evidence.annotations)}
    if not own:
        return ["Not measured: this model has no scores, so its weak points are unknown."]
    found = []
    for one in reversed(own.values()):
        found += [f"Strict F1 in parts of {_about(one)}:", _slices(one), *_weak_points(one), _groups(one)]
    found.append(
        "These numbers depend on the corpus: groups of people, places and kinds of text that do not occur in it "
        "are not measured."
    )
    return [one for one in found if one]


def _about(one: AnnotationScores) -> str:
    gold = "" if one.gold == one.dataset else f" against the annotation {name(one.gold)}"
    return f"{name(one.dataset)}, {text(one.split)} split{gold}"


def _modes(one: AnnotationScores) -> str:
    rows = [
        (name(mode), *(_points(one.find(mode, metric)) for metric in ("precision", "recall", "f1")))
        for mode in MODES
        if one.find(mode, "f1")
    ]
    return table(("mode", "precision", "recall", "F1"), rows, numbers_from=1) if rows else ""


def _by_type(one: AnnotationScores) -> str:
    rows = []
    for label in _types(one):
        row = one.find("strict", "f1", label=label)
        scores = (_points(one.find("strict", metric, label=label)) for metric in ("precision", "recall", "f1"))
        rows.append((name(label), *scores, whole(row["n_gold"] if row else None)))
    return table(("type, strict", "precision", "recall", "F1", "entities"), rows, numbers_from=1) if rows else ""


def _beside(one: AnnotationScores) -> str:
    """One sentence each for the macro average, token accuracy and calibration."""
    sentences = []
    if (row := one.find("strict", "f1", average="macro")) and row["value"] is not None:
        sentences.append(f"Macro average of strict F1 over the types: {_points(row)}.")
    if (row := one.find("tag", "accuracy")) and row["value"] is not None:
        sentences.append(f"Words with the correct tag, `O` included: {_points(row)} %.")
    if (row := one.find("strict", "ece_equal_mass")) and row["value"] is not None:
        sentences.append(
            f"Expected calibration error of the predicted entities, 15 bins of equal mass: {_points(row)} points. "
            "This is the mean difference between confidence in an entity (the lowest of its words) and accuracy."
        )
    digests = f"words {name(one.words_sha256)}, annotation {name(one.gold_sha256)}"
    return " ".join([*sentences, f"Computed in {name(one.dtype)}. sha256: {digests}."])


def _slices(one: AnnotationScores) -> str:
    everything = one.find("strict", "f1")
    if everything is None or everything["value"] is None:
        return ""
    rows = [("`all`", "every mention", _points(everything), "", whole(everything["n_gold"]))]
    for part in one.values("slice"):
        row = one.find("strict", "f1", slice=part)
        if part == EVERYTHING or row is None:
            continue
        apart = "" if row["value"] is None else f"{100 * (row['value'] - everything['value']):+.1f}"
        rows.append((name(part), SLICES.get(part, ""), _points(row), apart, whole(row["n_gold"])))
    return table(("slice", "description", "F1", "difference from all", "entities"), rows, numbers_from=2)


def _weak_points(one: AnnotationScores) -> Iterable[str]:
    everything = one.find("strict", "f1")
    unseen, seen = (one.find("strict", "f1", slice=part) for part in ("unseen", "seen"))
    if unseen and seen and _known(unseen, seen) and unseen["value"] < seen["value"]:
        yield (
            f"On mentions that do not occur in the training data, F1 is {_short(unseen)}; on those that do, "
            f"{_short(seen)}. Expect errors on new names, and on names from other places and times."
        )
    if _known(capitals := one.find("strict", "f1", slice="all_caps"), everything):
        yield f"In sentences without lower-case letters, such as headlines, F1 is {_short(capitals)}."
    by_type = (one.find("strict", "f1", label=label) for label in _types(one))
    scored = [row for row in by_type if row and row["value"] is not None]
    if len(scored) > 1:
        worst, *_, best = sorted(scored, key=lambda row: row["value"])
        weakest = f"{name(worst['label'])} with F1 {_short(worst)}"
        yield f"The weakest type is {weakest}; the best is {name(best['label'])} with F1 {_short(best)}."
    small = [
        part
        for part in one.values("slice")
        if (row := one.find("strict", "f1", slice=part)) and row["n_gold"] is not None and row["n_gold"] < FEW
    ]
    if small:
        yield f"The numbers for {names(small)} are based on fewer than {FEW} entities and are unreliable."


def _groups(one: AnnotationScores) -> str:
    """F1 of every type, also for unseen mentions and in sentences of capitals."""
    parts = [part for part in ("unseen", "all_caps") if one.find("strict", "f1", slice=part)]
    if not parts:
        return ""
    rows = [
        (
            name(label),
            *(_with_support(one.find("strict", "f1", slice=part, label=label)) for part in (EVERYTHING, *parts)),
        )
        for label in _types(one)
    ]
    return "By type (number of entities in parentheses):\n\n" + table(
        ("type", *map(name, (EVERYTHING, *parts))), rows, numbers_from=1
    )


def _types(one: AnnotationScores) -> list[str]:
    return list(dict.fromkeys(row["label"] for row in one.rows if row["mode"] == "strict" and row["label"] != OVERALL))


def _known(*rows: Row | None) -> bool:
    return all(row is not None and row["value"] is not None for row in rows)


def _points(row: Row | None) -> str:
    """`87.8 (85.9–89.6)`, or the reason why there is no number."""
    if row is None:
        return ""
    if row["value"] is None:
        return f"none ({text(row['reason'] or 'undefined')})"
    interval = "" if row["ci_low"] is None else f" ({100 * row['ci_low']:.1f}–{100 * row['ci_high']:.1f})"
    return f"{100 * row['value']:.1f}{interval}"


def _short(row: Row | None) -> str:
    return f"{100 * row['value']:.1f}" if row else ""


def _with_support(row: Row | None) -> str:
    return "" if row is None else f"{_short(row) if row['value'] is not None else 'none'} ({whole(row['n_gold'])})"


def _confidence(row: Row) -> str:
    return "" if row["ci_low"] is None else f"; {100 * row['confidence']:g} % interval in parentheses"


def speed_and_memory(evidence: Evidence) -> str:
    """One row per measurement, and the machine."""
    used = {row["device"]: row for row in evidence.memory}
    rows = [
        (
            name(row["device"]),
            name(row["dtype"]),
            text(row["batch_size"] if row["batch_size"] is not None else ""),
            *(_milliseconds(row[column]) for column in ("p50_s", "p90_s", "p99_s")),
            whole(row["words_per_s"]),
            *_memory(used.get(row["device"])),
        )
        for row in evidence.speed
        if row["status"] == "ok"
    ]
    if not rows:
        return "Not measured."
    latency = ("p50 ms", "p90 ms", "p99 ms", "words/s")
    header = ("device", "dtype", "batch size", *latency, "load s", "peak memory above baseline MB")
    sentence = f"Milliseconds per batch of sentences with real lengths{_machine(evidence.machine)}."
    return f"{table(header, rows, numbers_from=2)}\n\n{sentence}"


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.1f}"


def _memory(row: Row | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    used = used_memory(row)
    above = "" if used is None else f"{used / 1e6:,.0f}"
    return "" if row["load_s"] is None else f"{row['load_s']:.2f}", above


def _machine(row: Row | None) -> str:
    if row is None:
        return ""
    known = [line(row[key]) for key in ("cpu", "gpu") if row[key]]
    return f"; on {text(' with '.join(known))}, {row['threads']} threads" if known else ""
