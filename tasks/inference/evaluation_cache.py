"""One model's predictions on one corpus, cached under a key of everything that can change them.

A record beside the predictions has their digest, which is checked on every use. The record is written last and replaced
as a whole, so that duplicate work is harmless and no reader sees a torn file. `<results>/.cache/evaluations/<key>/`
holds `record.json` and the predictions as `<sha256 of the file>.parquet`; below `shards/`, it holds the same for the
parts of a divided corpus (`nerbench.tasks.inference.sharding`).
"""

import logging
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date as calendar_date
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from nerbench.artifacts.digests import canonical_json, sha256_file, sha256_hex
from nerbench.artifacts.errors import CorruptArtifactError, RunFailedError
from nerbench.artifacts.malloc import trim_malloc
from nerbench.artifacts.manifest import ArtifactRef, Digest
from nerbench.artifacts.memoized_reads import sha256_and_hold
from nerbench.artifacts.references import materialise
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.paths import room_for
from nerbench.tasks.child_process import Emit, Job
from nerbench.tasks.config import BenchmarkConfig, Section, TaggerConfig
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.corpus_refs import CorpusRef, open_corpus
from nerbench.tasks.inference.backends import export_graph
from nerbench.tasks.inference.evaluation_key import EvaluationSettings, evaluation_key, settings_of
from nerbench.tasks.inference.hardware import is_torch_loaded
from nerbench.tasks.inference.import_predictions import copy_predictions
from nerbench.tasks.inference.prediction_files import equal_shares, infer, join, n_blocks, row_groups
from nerbench.tasks.inference.processes import meeting, processes_for, run_processes
from nerbench.tasks.inference.tagger_evaluation import PARSE_FAILURES, infer_by_tagger
from nerbench.tasks.inference.tagger_handles import tagger_handle
from nerbench.tasks.run_identity import utc_now

log = logging.getLogger(__name__)

RENEW = timedelta(hours=12)
"""An older record is written again when it is used. This marks the use, because pruning spares younger records."""
_MAX_BYTES = 1 << 20
_TRIES = 5
"""Attempts to change a record that others change at the same time."""
State = Literal["cached", "missing", "altered", "refresh"]
"""`cached`: intact predictions exist; otherwise the reason for inference."""


class EvaluationRecord(Section):
    """A finished evaluation or shard: the location of its predictions, and their digest."""

    key: str
    """The key of the evaluation."""
    first: int | None = None
    """The first block of a shard, from 0. None for a whole evaluation, as `stop` is; its file lacks both."""
    stop: int | None = None
    """The block after the last one of a shard."""
    predictions_digest: str
    sha256: Digest
    """The digest of the predictions file: Parquet with document, sentence, word, pred, score."""
    labels: tuple[str, ...]
    """The model's label names by output index."""
    words: int
    truncated: int
    """Words longer than a whole window; their first tokens decide."""
    vanished: int
    """Words without tokens, predicted as `O`."""
    ignored_keys: tuple[str, ...]
    """Weights of the file that the architecture does not use."""
    evaluate_s: float
    """Seconds from words in memory to tags in memory, with the model loaded."""
    counts: dict[str, float] | None = None
    """Counts of a tagger, e.g. `calls`."""
    dates: dict[str, calendar_date] | None = None
    """The logical date of each file of the table `predictions` that was made from these, by its name."""
    run_id: str | None = None
    """The run that made predictions of a tagger that is not pinned, and that alone uses them again."""

    @property
    def folder(self) -> str:
        """The folder of record and predictions, below the results."""
        return evaluation_folder(self.key) if self.first is None else shard_folder(self.key, self.first, self.stop)

    @property
    def path(self) -> str:
        """The path of the predictions, below the results."""
        return f"{self.folder}/{self.sha256}.parquet"


class Evaluated(NamedTuple):
    """One model's predictions on the words of a corpus, and the annotation to score them against."""

    artifact: ArtifactRef
    corpus: CorpusRef
    record: EvaluationRecord


def evaluation_folder(key: str) -> str:
    """The folder of everything about one evaluation, below the results."""
    return f".cache/evaluations/{key}"


def shard_folder(key: str, first: int, stop: int | None) -> str:
    """The folder of a shard, below the results."""
    return f"{evaluation_folder(key)}/shards/{first}-{stop}"


def keep(root: Root, record: EvaluationRecord, predictions: Path) -> None:
    """Keep predictions, then their record, which replaces that of earlier ones."""
    root.upload(predictions, record.path, record.sha256)
    path, data = f"{record.folder}/record.json", canonical_json(record.model_dump(mode="json", exclude_none=True))
    # Swapped, so that `keep_date` and `look_up`, which swap too, never write an earlier record over this one.
    if not any(root.swap(path, data, _bytes(root, path)) for _ in range(_TRIES)):
        root.replace(path, data)


def keep_date(root: Root, record: EvaluationRecord, name: str, date: calendar_date) -> None:
    """Add to a kept record the date of a file of the table `predictions`, so that no later run lists that table."""
    path = f"{record.folder}/record.json"
    for _ in range(_TRIES):
        try:
            kept = EvaluationRecord.model_validate_json(data := root.read_record(path, _MAX_BYTES))
        except (FileNotFoundError, ValidationError, CorruptArtifactError):
            return  # pruned or damaged in the meantime: the next run infers again
        if kept.sha256 != record.sha256:
            return  # inferred again in the meantime
        dated = kept.model_copy(update={"dates": (kept.dates or {}) | {name: date}})
        if root.swap(path, canonical_json(dated.model_dump(mode="json", exclude_none=True)), data):
            return


def _bytes(root: Root, path: str) -> bytes | None:
    try:
        return root.part(path, 0, _MAX_BYTES + 1)
    except FileNotFoundError:
        return None


def look_up(root: Root, folder: str, name: str) -> tuple[State, EvaluationRecord | None]:
    """Whether a folder has a record and its intact predictions, and the record. Reports damage with `name`.

    Raises InputError if access is refused, and StoreUnreachableError if there is no answer: in both cases, the record
    may exist and be intact.
    """
    path = f"{folder}/record.json"
    try:
        record = EvaluationRecord.model_validate_json(data := root.read_record(path, _MAX_BYTES))
    except FileNotFoundError:
        return "missing", None
    except (ValidationError, CorruptArtifactError):
        log.warning("%s: its record %s is damaged; inferring again", name, root.uri(path))
        return "altered", None
    try:
        if utc_now() - root.modified(path) > RENEW:  # before the check, which notices anything pruned until then
            root.swap(path, data, data)  # a process that changed it in the meantime also renewed it
        intact = record.folder == folder and sha256_and_hold(root, record.path) == record.sha256
    except FileNotFoundError:
        intact = False
    if not intact:
        log.warning("%s: its cached predictions in %s are missing or altered; inferring again", name, root.uri(folder))
        return "altered", None
    return "cached", record


class EvaluationPlan(Section):
    """An evaluation to carry out, and the state of the cache."""

    model: str
    """The name of the model, for messages."""
    key: str
    settings: EvaluationSettings
    state: State
    record: EvaluationRecord | None
    """The cached record, if the state is `cached`."""
    tagger: TaggerConfig | None = None
    """How a tagger is started, from the configuration; None for a model, and for a tagger that it does not name."""
    run_id: str | None = None
    """The run, for a tagger that is not pinned."""


class Shard(Section):
    """A part of a planned evaluation, perhaps the only one, and its cached record."""

    number: int = 1
    """Number of the shard, from 1."""
    of: int = 1
    """Number of shards."""
    first: int | None = None
    """Its first block, from 0. None, as `stop` is, if the evaluation is not divided."""
    stop: int | None = None
    """The block after its last one."""
    record: EvaluationRecord | None
    """The record of its predictions, if they exist, are intact, and are not to be inferred again."""

    @property
    def place(self) -> str:
        """`, shard 2 of 3`; empty for the only one."""
        return f", shard {self.number} of {self.of}" if self.of > 1 else ""

    def blocks(self, corpus: Corpus) -> range:
        """The blocks to infer."""
        return range(n_blocks(corpus))[self.first : self.stop]


def plan(  # noqa: PLR0913, PLR0917 - an evaluation and its run
    artifact: ArtifactRef,
    words_sha256: str,
    benchmark: BenchmarkConfig,
    results: str,
    taggers: Sequence[TaggerConfig] = (),
    run_id: str | None = None,
) -> EvaluationPlan:
    """Look up finished predictions and check their digest. Missing or altered predictions are logged.

    Predictions of a tagger that is not pinned are taken from the cache only by the run that made them, so that a later
    attempt scores the predictions that the tables of the first one describe.
    """
    settings = settings_of(benchmark)
    of_run = None if artifact.is_pinned else run_id
    key = _key(artifact, words_sha256, settings, of_run)
    state: State = "refresh"
    record: EvaluationRecord | None = None
    if of_run or (artifact.is_pinned and not benchmark.refresh):
        state, record = look_up(open_root(results), evaluation_folder(key), artifact.name)
        if of_run and record is None:
            state = "refresh"
        if record:
            report_lost_predictions(record, artifact.name)
    if record is None and artifact.kind == "model" and not is_torch_loaded():
        import torch  # noqa: F401 - inference needs it, and its answers about the machine count

        if evaluation_key(artifact.model_sha256, words_sha256, settings) != key:
            return plan(artifact, words_sha256, benchmark, results, taggers, run_id)
    tagger = next((one for one in taggers if one.name == artifact.name and artifact.kind == "tagger"), None)
    return EvaluationPlan(
        model=artifact.name, key=key, settings=settings, state=state, record=record, tagger=tagger, run_id=of_run
    )


def _key(artifact: ArtifactRef, words_sha256: str, settings: EvaluationSettings, run_id: str | None) -> str:
    """The key of an evaluation. `run_id`: as in EvaluationPlan, so that no other run replaces the predictions."""
    key = evaluation_key(artifact.model_sha256, words_sha256, settings, artifact.kind)
    return sha256_hex(canonical_json([key, run_id])) if run_id else key


def carry_out(  # noqa: PLR0913, PLR0917 - an evaluation and its part
    plan: EvaluationPlan,
    artifact: ArtifactRef,
    corpus: Corpus,
    results: str,
    on_progress: Callable[[int], None] = lambda words: None,
    shard: Shard | None = None,
    ref: CorpusRef | None = None,
) -> EvaluationRecord:
    """The record of a planned evaluation or shard: the cached one, or that of a new inference.

    Evicts the model afterwards. Several processes need `ref`, from which each reads the corpus. Raises RunFailedError
    if the plan was made on another kind of machine, whose predictions have another key.
    """
    shard = shard or Shard(record=plan.record)
    if shard.record:
        return shard.record
    blocks, settings = shard.blocks(corpus), plan.settings
    if _key(artifact, corpus.words_sha256, settings, plan.run_id) != plan.key:
        raise RunFailedError(
            f"the worker {platform.node()} differs from the one that looked for predictions of {artifact.name} in "
            "device, processor, threads or versions; give a cluster workers of one kind"
        )
    with scratch_folder() as scratch:
        path = scratch / "predictions.parquet"
        with room_for(path):
            if artifact.kind == "predictions":
                copied = copy_predictions(path, artifact, corpus, blocks, on_progress)
                done = copied._asdict() | {"labels": artifact.labels, "ignored_keys": ()}
            elif artifact.kind == "tagger":
                done = infer_by_tagger(path, plan.tagger, artifact, corpus, blocks, on_progress)
            elif ref and (n := processes_for(settings.processes, settings.device, len(blocks))) > 1:
                done = _infer_together(path, n, settings, artifact, ref, blocks, results, on_progress)
            else:
                done = _infer_here(path, settings, artifact, corpus, blocks, results, on_progress)
        done |= {"first": shard.first, "stop": shard.stop, "run_id": plan.run_id}
        record = EvaluationRecord(key=plan.key, sha256=sha256_file(path), **done)
        keep(open_root(results), record, path)
    trim_malloc()
    if shard.of == 1:
        report_lost_predictions(record, artifact.name)
    return record


def _infer_here(  # noqa: PLR0913, PLR0917 - what is inferred, and where it goes
    path: Path,
    settings: EvaluationSettings,
    artifact: ArtifactRef,
    corpus: Corpus,
    blocks: range,
    results: str,
    on_progress: Callable[[int], None],
    graph: Path | None = None,
) -> dict[str, Any]:
    """The record fields of predictions that this process writes to a file; for `graph`, see `tagger_handle`."""
    with tagger_handle(artifact, settings, graph=graph, results=results) as handle:
        tagger = handle.value
        strategy = settings.aggregation_strategy
        inferred = infer(path, tagger, corpus, aggregation_strategy=strategy, blocks=blocks, on_progress=on_progress)
        return inferred._asdict() | {"labels": tagger.labels, "ignored_keys": tagger.ignored_keys}


def _infer_together(  # noqa: PLR0913, PLR0917 - as above
    path: Path,
    processes: int,
    settings: EvaluationSettings,
    artifact: ArtifactRef,
    ref: CorpusRef,
    blocks: range,
    results: str,
    on_progress: Callable[[int], None],
) -> dict[str, Any]:
    """Like `_infer_here`, with several processes. The blocks in the file are identical to the byte."""
    done = Counter[int]()

    def on_event(event: Job) -> None:
        done[event["part"]] = event["words"]
        on_progress(done.total())

    given = {"settings": settings, "artifact": artifact, "corpus": ref}
    job: Job = {name: value.model_dump(mode="json") for name, value in given.items()}
    if settings.backend != "torch":
        options = settings.backend, settings.precision, settings.max_length
        job["graph"] = str(export_graph(materialise(artifact), path.parent, *options, artifact.name))
    parts = run_processes(
        "nerbench.tasks.inference.evaluation_cache:infer_part",
        job | {"blocks": [blocks.start, blocks.stop], "folder": str(path.parent), "results": results},
        processes=processes,
        device=settings.device,
        field="benchmark.",
        what=f"inference with {artifact.name}",
        on_event=on_event,
    )
    inferred = {number: part for number, part in enumerate(parts) if part}
    files = (_part(path.parent, number) for number in inferred)
    return next(iter(inferred.values())) | {
        "predictions_digest": join(path, (block for file in files for block in row_groups(file))),
        **{name: sum(part[name] for part in inferred.values()) for name in ("words", "truncated", "vanished")},
        "evaluate_s": max(part["evaluate_s"] for part in inferred.values()),
    }


def _part(folder: Path, number: int) -> Path:
    """The predictions of one process."""
    return folder / f"part-{number}.parquet"


def infer_part(job: Job, emit: Emit) -> Job:
    """Infer the part of one process into a file; `{}` if it gets no block."""
    from nerbench.tasks.inference.loading import resolve_device

    settings = EvaluationSettings.model_validate(job["settings"])
    device = resolve_device(settings.device).type
    corpus = open_corpus(CorpusRef.model_validate(job["corpus"]))
    with meeting(device) as state:
        number = state.process_index
        mine = equal_shares(corpus, range(*job["blocks"]), state.num_processes)[number]
        if not mine:
            return {}
        return _infer_here(
            _part(Path(job["folder"]), number),
            settings.model_copy(update={"device": device if device == "cpu" else str(state.device)}),
            ArtifactRef.model_validate(job["artifact"]),
            corpus,
            mine,
            job["results"],
            lambda words: emit({"event": "words", "part": number, "words": words}),
            Path(job["graph"]) if "graph" in job else None,
        )


def report_lost_predictions(record: EvaluationRecord, name: str) -> None:
    """Warn about words that a model could not see, or not completely."""
    if record.truncated:
        text = "%s: %d words are longer than its context window; their first tokens decide"
        log.warning(text, name, record.truncated)
    if record.vanished:
        log.warning("%s: %d words have no token in its tokenizer; they count as O", name, record.vanished)
    if unparsed := (record.counts or {}).get(PARSE_FAILURES):
        log.warning("%s: %d answers could not be parsed; they count as no entities", name, unparsed)
