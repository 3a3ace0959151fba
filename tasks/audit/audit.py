"""The audit of the gates: whether every gate detects the fault that it is responsible for, and passes everything
else."""

import re
import shutil
from collections.abc import Callable
from typing import NamedTuple

from nerbench.artifacts.errors import ArtifactNotFoundError, InputError, NerbenchError
from nerbench.artifacts.local_copies import cache_folder
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import resolve
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.artifacts.store import Store
from nerbench.tasks.audit import faults, gates
from nerbench.tasks.audit.copies import Copy, prepare, private_cache, unsigned
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus_refs import open_corpus

Tell = Callable[[str], None]
NOTHING = "none, the control"
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")


class Gate(NamedTuple):
    """A gate that must detect a fault."""

    name: str
    ask: Callable[[Copy], str | None]
    """Raises the gate's objection; otherwise returns a remark or None."""


class Answer(NamedTuple):
    """The result of a gate."""

    objected: bool
    message: str


class Fault(NamedTuple):
    """A fault to plant, and the gate that must detect it."""

    name: str
    plant: Callable[[Copy], Copy]
    gate: Gate
    expected: str
    """Part of the expected objection: an objection for another reason does not count."""


class Outcome(NamedTuple):
    """One line of the report."""

    fault: str
    gate: str
    message: str
    ok: bool
    outcome: str
    """`caught` or `NOT CAUGHT`; for the control, `passes` or `FALSE ALARM`."""


class Audit(NamedTuple):
    """The audited model and the results."""

    model: str
    artifact_id: str
    dataset: str
    split: str
    sentences: int
    words: int
    outcomes: list[Outcome]

    @property
    def ok(self) -> bool:
        """Whether every fault was caught, and nothing else."""
        return all(outcome.ok for outcome in self.outcomes)


QUALITY = Gate("quality gate", gates.quality_gate)
FROZEN = Gate("frozen-model gate", gates.reproducibility_gate)
COMPARE = Gate("nerbench compare", gates.comparison)
VERIFY = Gate("artifacts verify", gates.verification)
LOAD = Gate("loading the model", gates.loading)
CANARY = Gate("canary", gates.canary_gate)
CACHE = Gate("cached predictions", gates.cached_predictions)
TABLE = Gate("stored predictions", gates.stored_predictions)

FAULTS = (
    Fault("shuffled label order", faults.shuffle_labels, QUALITY, "regression"),
    Fault("shuffled label order, three documents", faults.shrink_corpus, QUALITY, "overall strict F1 fell"),
    Fault("truncation: ends of sentences are O", faults.truncate_sentences, QUALITY, "regression"),
    Fault("truncation: ends of sentences are missing", faults.lose_rows, TABLE, "word numbers are not consecutive"),
    Fault("dropped model: not scored", faults.drop_score, QUALITY, "there are no scores to be judged"),
    Fault("dropped baseline: not scored", faults.drop_baseline_score, QUALITY, "the baseline was not scored"),
    Fault("dropped baseline: gone from the store", faults.drop_baseline, QUALITY, "is not in the store"),
    Fault("one flipped weight byte", faults.flip_weight_byte, VERIFY, "has sha256"),
    Fault("one flipped weight byte", faults.flip_weight_byte, LOAD, "has sha256"),
    Fault("a changed gold", faults.change_gold, COMPARE, "different gold tags"),
    Fault("a tag swapped in cached predictions", faults.swap_cached_tag, CACHE, f"altered; {gates.SAME_AGAIN}"),
    Fault("a tag swapped in stored predictions", faults.swap_stored_tag, TABLE, "not those of its predictions_digest"),
    Fault("the same model predicts otherwise", faults.predict_otherwise, FROZEN, "predict differently"),
    Fault("the same model predicts otherwise", faults.predict_otherwise, CANARY, "have another tag"),
)


def audit(config: Config, artifact: ArtifactRef, tell: Tell = lambda text: None) -> Audit:
    """Plant every fault in its own copy and ask its gate; also ask all gates about a copy without a fault.

    Writes only to a temporary folder below the cache. Raises like `prepare`.
    """
    cache_folder().mkdir(parents=True, exist_ok=True)
    with scratch_folder(cache_folder()) as folder:
        honest = folder / "honest"
        with private_cache(honest / "cache"):
            tell(f"audit of {artifact.exact_name}: it is copied and scored without a fault")
            copy = prepare(config, artifact, honest)
            corpus = copy.corpus()
            words = open_corpus(corpus)
        outcomes = [_control(copy, tell), *(_outcome(copy, fault, tell) for fault in FAULTS)]
    return Audit(
        model=artifact.name,
        artifact_id=artifact.artifact_id,
        dataset=corpus.dataset.name,
        split=corpus.split,
        sentences=len(words.words),
        words=words.n_words,
        outcomes=outcomes,
    )


def find_model(store: str, reference: str | None) -> ArtifactRef:
    """The named model, or the newest one in the store. Raises InputError if there is none, or several."""
    if reference is None:
        if not (summaries := Store(store).list()):
            remedy = "train one with `nerbench train`, or name one: nerbench doctor --audit FOLDER"
            raise ArtifactNotFoundError(f"store {store}", "holds no model to audit with", remedy)
        return Store(store).ref(summaries[0])
    found = resolve(reference, store)
    if len(found) > 1:
        raise InputError(f"model {reference!r}", f"means {len(found)} models", "audit with one")
    return found[0]


def _control(honest: Copy, tell: Tell) -> Outcome:
    tell("planting no fault; asking every gate")
    answers = {gate.name: _asked(honest, gate) for gate in dict.fromkeys(fault.gate for fault in FAULTS)}
    objections = "; ".join(f"{name}: {answer.message}" for name, answer in answers.items() if answer.objected)
    outcome = "FALSE ALARM" if objections else "passes"
    message = objections or f"no objection of {len(answers)} gates"
    return Outcome(NOTHING, "all of these", message, not objections, outcome)


def _outcome(honest: Copy, fault: Fault, tell: Tell) -> Outcome:
    tell(f"planting: {fault.name}; asking: {fault.gate.name}")
    answer = _asked(honest, fault.gate, fault.plant)
    caught = answer.objected and fault.expected in answer.message
    return Outcome(fault.name, fault.gate.name, answer.message, caught, "caught" if caught else "NOT CAUGHT")


def _asked(honest: Copy, gate: Gate, plant: Callable[[Copy], Copy] = lambda copy: copy) -> Answer:
    """The result of a gate for a copy with a fault, as one line without folders and with shortened digests."""
    folder = honest.folder.parent / "copy"
    with private_cache(folder / "cache"), unsigned():
        try:
            copy = plant(honest.duplicate(folder))
            objected, message = _answer(gate, copy)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return Answer(objected, _DIGEST.sub(r"\1…", " ".join(message.replace(f"{folder}/", "").split())))


def _answer(gate: Gate, copy: Copy) -> Answer:
    try:
        return Answer(False, gate.ask(copy) or "nothing")
    except NerbenchError as error:
        return Answer(True, str(error))
