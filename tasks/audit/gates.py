"""The gates that a fault must trip. Each calls the function that the commands use, and returns its objection.

A gate raises its objection as a NerbenchError. If it returns, it passes the copy, perhaps with a remark.
"""

from nerbench.artifacts.errors import CorruptArtifactError, RunFailedError
from nerbench.artifacts.references import materialise, verify
from nerbench.tasks.audit.copies import (
    BASELINE,
    BEFORE,
    CANDIDATE,
    CURRENT,
    Copy,
    look_up,
    predict,
    private_cache,
    run_of,
    score,
)
from nerbench.tasks.comparison.compare import Query, compare
from nerbench.tasks.comparison.quality_gate import by_annotation, describe, find_baseline, judge, refuse
from nerbench.tasks.comparison.reproducibility import changed
from nerbench.tasks.comparison.scored_runs import find_scored_run
from nerbench.tasks.config import GateConfig
from nerbench.tasks.data.corpus_refs import open_corpus
from nerbench.tasks.inference import canary
from nerbench.tasks.inference.prediction_files import n_blocks
from nerbench.tasks.scoring.stored_predictions import Predicted, read_predictions

SAME_AGAIN = "inferred again, the same tags as before"


def quality_gate(copy: Copy) -> str:
    """Compare the candidate with its baseline by the rule of the gate; verdicts other than `pass` are remarks."""
    config = copy.config
    candidate = copy.artifact(CANDIDATE)
    baseline = find_baseline(config.gate or GateConfig(), candidate.name, config.store)
    scored = by_annotation(predict(copy, CURRENT, alias) for alias in copy.scored)
    rows = judge(config, candidate, scored[candidate.artifact_id], scored[baseline.artifact_id] if baseline else {})
    refuse(rows)
    return "; ".join(describe(row) for row in rows if row["verdict"] != "pass")


def reproducibility_gate(copy: Copy) -> None:
    """Compare the unchanged model with its predictions in the previous run."""
    predicted = predict(copy, CURRENT, CANDIDATE)
    refuse(changed(run_of(copy, CURRENT), copy.config, [predicted]))


def comparison(copy: Copy) -> None:
    """The verdict of `nerbench compare` on the previous and the current run."""
    score(copy, CURRENT, CANDIDATE)
    found = compare(f"{copy.model}@{BASELINE}#{BEFORE}", f"{copy.model}@{CANDIDATE}#{CURRENT}", copy.config, Query())
    if found.verdict != "pass":
        raise RunFailedError("; ".join([found.verdict or "not comparable", *found.reasons]))


def verification(copy: Copy) -> None:
    """The result of `nerbench artifacts verify` for the store."""
    (found,) = verify(f"{copy.model}@{BASELINE}", copy.config.store)
    if not found.ok:
        raise CorruptArtifactError("; ".join(found.problems))


def loading(copy: Copy) -> None:
    """Load the model on a machine without a local copy."""
    with private_cache(copy.folder / "empty cache"):
        materialise(copy.artifact(BASELINE))


def cached_predictions(copy: Copy) -> None:
    """Look up an evaluation, and infer again if its predictions cannot be trusted."""
    found = look_up(copy, CANDIDATE)
    if found.state != "cached":
        same = predict(copy, CURRENT, CANDIDATE).predictions_digest == scored_before(copy).predictions_digest
        raise CorruptArtifactError(f"{found.state}; {SAME_AGAIN if same else 'inferred again, other tags than before'}")


def canary_gate(copy: Copy) -> None:
    """Repeat the inference of a whole cached evaluation."""
    artifact, corpus, found = copy.artifact(CANDIDATE), open_corpus(copy.corpus()), look_up(copy, CANDIDATE)
    canary.check(artifact, corpus, found, range(n_blocks(corpus)), copy.config.results)


def stored_predictions(copy: Copy) -> None:
    """Read the table on which every score and comparison is based."""
    read_predictions(copy.config.results, scored_before(copy).uri)


def scored_before(copy: Copy) -> Predicted:
    """The predictions that the previous run stored."""
    (found,) = find_scored_run(f"{copy.model}@{BASELINE}#{BEFORE}", copy.config.store, copy.config.results).scored
    return found
