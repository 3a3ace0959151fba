"""One model's word-level predictions on one corpus, kept under a key of everything that can change them.

`<results>/.cache/evaluations/<key>/` holds `record.json` and the predictions as `<sha256 of the file>.parquet`; and
below `shards/`, the same of its parts, where a corpus was cut (`nerbench.tasks.inference.sharding`).
"""

import logging
import platform
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nerbench.artifacts.digests import canonical_json, sha256_file, sha256_hex
from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.handle import ArtifactHandle
from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import golden_of
from nerbench.artifacts.storage.filesystem import Root
from nerbench.artifacts.storage.paths import room_for
from nerbench.tasks.config import BenchmarkConfig, Dtype, Section
from nerbench.tasks.corpora.corpus import Corpus
from nerbench.tasks.inference.heap import give_back
from nerbench.tasks.inference.records import EvaluationRecord, State, evaluation_folder, keep, look_up
from nerbench.tasks.inference.writing import infer, n_blocks

if TYPE_CHECKING:
    from nerbench.tasks.inference.loading import Tagger

log = logging.getLogger(__name__)

CODE_VERSION = "2"
"""Raise it whenever a change of the code may change a prediction."""


class EvaluationSettings(Section):
    """What of the configuration can change a prediction."""

    device: str
    precision: Dtype
    window: int | None
    vote: Literal["first", "max", "mean"]


class EvaluationPlan(Section):
    """What is to be evaluated, and what the cache holds of it."""

    key: str
    settings: EvaluationSettings
    state: State
    record: EvaluationRecord | None
    """Where the predictions are, if `cached`."""


class Shard(Section):
    """A part of a planned evaluation, perhaps the only one, and what the cache holds of it."""

    number: int = 1
    """From 1."""
    of: int = 1
    """How many there are."""
    first: int | None = None
    """Its first block, from 0; None, as `stop`, if the evaluation is in one piece."""
    stop: int | None = None
    """The block after its last one."""
    record: EvaluationRecord | None
    """Where its predictions are, if they are there, intact, and not to be inferred again."""

    @property
    def place(self) -> str:
        """`, shard 2 of 3`; nothing for the only one."""
        return f", shard {self.number} of {self.of}" if self.of > 1 else ""

    def blocks(self, corpus: Corpus) -> range:
        """The blocks to be inferred."""
        return range(n_blocks(corpus))[self.first : self.stop]


def settings_of(benchmark: BenchmarkConfig) -> EvaluationSettings:
    """What of a benchmark can change a prediction."""
    return EvaluationSettings(
        device=benchmark.device, precision=benchmark.dtype, window=benchmark.window, vote=benchmark.vote
    )


def evaluation_key(model_sha256: str, words_sha256: str, settings: EvaluationSettings) -> str:
    """The cache key: sha256 over strings only, the same in every process on the same kind of machine."""
    from nerbench.tasks.inference.loading import resolve_device
    from nerbench.tasks.inference.prediction import BATCH_PIECES, BLOCK

    device = resolve_device(settings.device)
    parts = {
        "model_sha256": model_sha256,
        "words_sha256": words_sha256,
        "precision": settings.precision,
        "attention": "auto",
        "window": str(settings.window or "model"),
        "vote": settings.vote,
        "block": str(BLOCK),
        "batch_pieces": str(BATCH_PIECES[device.type]),
        "code": CODE_VERSION,
        **{package: version(package) for package in ("torch", "transformers", "tokenizers")},
        **_hardware(device),
    }
    return sha256_hex(canonical_json(parts))


def _hardware(device: Any) -> dict[str, str]:
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    capability = torch.backends.cpu.get_cpu_capability()
    return {"device": name, "cpu_capability": capability, "threads": str(torch.get_num_threads())}


def plan(artifact: ArtifactRef, words_sha256: str, benchmark: BenchmarkConfig, results: str) -> EvaluationPlan:
    """Look up finished predictions and check them against their digest; what is missing or altered is said."""
    settings = settings_of(benchmark)
    key = evaluation_key(artifact.model_sha256, words_sha256, settings)
    state: State = "refresh"
    record: EvaluationRecord | None = None
    if not benchmark.refresh:
        state, record = look_up(Root.open(results), evaluation_folder(key), artifact.name)
        if record:
            say_what_was_lost(record, artifact.name)
    return EvaluationPlan(key=key, settings=settings, state=state, record=record)


def carry_out(  # noqa: PLR0913, PLR0917 - an evaluation and its part
    plan: EvaluationPlan,
    artifact: ArtifactRef,
    corpus: Corpus,
    results: str,
    on_progress: Callable[[int], None] = lambda words: None,
    shard: Shard | None = None,
) -> EvaluationRecord:
    """The record of a planned evaluation, or of a shard of it: the kept one, or that of a new inference.

    The model is evicted again. Raises RunFailedError where another kind of machine planned it.
    """
    shard = shard or Shard(record=plan.record)
    if shard.record:
        return shard.record
    _check_machine(plan, artifact, corpus)
    with tagger_handle(artifact, plan.settings) as handle, tempfile.TemporaryDirectory(prefix="nerbench-") as scratch:
        path = Path(scratch) / "predictions.parquet"
        with room_for(path):
            vote, blocks = plan.settings.vote, shard.blocks(corpus)
            inferred = infer(path, handle.value, corpus, vote=vote, blocks=blocks, on_progress=on_progress)
        record = EvaluationRecord(
            key=plan.key,
            first=shard.first,
            stop=shard.stop,
            sha256=sha256_file(path),
            labels=handle.value.labels,
            ignored_keys=handle.value.ignored_keys,
            **inferred._asdict(),
        )
        keep(Root.open(results), record, path)
    give_back()
    if shard.of == 1:
        say_what_was_lost(record, artifact.name)
    return record


def _check_machine(plan: EvaluationPlan, artifact: ArtifactRef, corpus: Corpus) -> None:
    """Raise RunFailedError where predictions made here would not be those that the plan's key stands for."""
    if evaluation_key(artifact.model_sha256, corpus.words_sha256, plan.settings) != plan.key:
        raise RunFailedError(
            f"the worker {platform.node()} differs from the one that looked for predictions of {artifact.name} in "
            "device, processor, threads or versions; give a cluster workers of one kind"
        )


def tagger_handle(
    artifact: ArtifactRef, settings: EvaluationSettings, *, as_saved: bool = False
) -> "ArtifactHandle[Tagger]":
    """A lazy handle of the model as it is evaluated with these settings, or `as_saved`: with modules of its own."""
    from nerbench.tasks.inference.loading import load_tagger, resolve_device
    from nerbench.tasks.inference.quickening import quicken

    device = resolve_device(settings.device)

    def load(folder: Path) -> "Tagger":
        tagger = load_tagger(
            folder,
            device=device,
            precision=settings.precision,
            window=settings.window,
            name=artifact.name,
            golden=golden_of(artifact),
        )
        return tagger if as_saved else quicken(tagger)

    return ArtifactHandle(artifact, load)


def say_what_was_lost(record: EvaluationRecord, name: str) -> None:
    """Warn of words that a model could not see, or not whole."""
    if record.truncated:
        log.warning(
            "%s: %d words are longer than its context window; their first tokens decide", name, record.truncated
        )
    if record.vanished:
        log.warning("%s: %d words have no token in its tokenizer; they count as O", name, record.vanished)
