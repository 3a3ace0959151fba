"""One model's word-level predictions on one corpus, kept under a key of everything that can change them.

`<results>/.cache/evaluations/<key>/` holds `record.json` and the predictions as `<sha256 of the file>.parquet`. The
record is written last and replaced as a whole, so that a duplicate evaluation is harmless and a torn one is never seen.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import ValidationError

from artifacts.digests import canonical_json, sha256_file, sha256_hex
from artifacts.handle import ArtifactHandle
from artifacts.manifest import ArtifactRef
from artifacts.references import golden_of
from artifacts.storage.filesystem import Root
from tasks.config import BenchmarkConfig, Precision, Section
from tasks.corpora.corpus import Corpus
from tasks.corpora.labels import OUTSIDE

if TYPE_CHECKING:
    from tasks.inference.loading import Tagger

log = logging.getLogger(__name__)

CODE_VERSION = "1"
"""Raise it whenever a change of the code may change a prediction."""


State = Literal["cached", "missing", "altered", "refresh"]
"""`cached`: intact predictions exist; otherwise why there will be inference."""


class EvaluationSettings(Section):
    """What of the configuration can change a prediction."""

    device: str
    precision: Precision
    window: int | None
    vote: Literal["first", "max", "mean"]


class EvaluationRecord(Section):
    """A finished evaluation: where its predictions lie, and their digests."""

    key: str
    predictions_digest: str
    sha256: str
    """Digest of the predictions file: Parquet with document, sentence, word, pred, score."""
    labels: tuple[str, ...]
    """The model's label names by output index."""
    words: int
    truncated: int
    """Words longer than a whole window, judged by their first pieces."""
    vanished: int
    """Words without any piece, predicted `O`."""
    ignored_keys: tuple[str, ...]
    """Weights of the file that the architecture does not use."""
    evaluate_s: float
    """Seconds from words in memory to tags in memory, the model loaded."""

    @property
    def path(self) -> str:
        """Where the predictions lie, below the results."""
        return f"{_folder(self.key)}/{self.sha256}.parquet"


class EvaluationPlan(Section):
    """What is to be evaluated, and what the cache holds of it."""

    key: str
    settings: EvaluationSettings
    state: State
    record: EvaluationRecord | None
    """Where the predictions are, if `cached`."""


def settings_of(benchmark: BenchmarkConfig) -> EvaluationSettings:
    """What of a benchmark can change a prediction."""
    return EvaluationSettings(
        device=benchmark.device, precision=benchmark.precision, window=benchmark.window, vote=benchmark.vote
    )


def evaluation_key(model_sha256: str, words_sha256: str, settings: EvaluationSettings) -> str:
    """The cache key: sha256 over strings only, the same in every process on the same kind of machine."""
    from tasks.inference.loading import resolve_device
    from tasks.inference.prediction import BATCH_PIECES, BLOCK

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


def _folder(key: str) -> str:
    return f".cache/evaluations/{key}"


def plan(artifact: ArtifactRef, words_sha256: str, benchmark: BenchmarkConfig, results: str) -> EvaluationPlan:
    """Look up finished predictions and check them against their digest; what is missing or altered is said."""
    settings = settings_of(benchmark)
    key = evaluation_key(artifact.model_sha256, words_sha256, settings)
    state: State = "refresh"
    record = None
    if not benchmark.refresh:
        state, record = _look_up(results, key, artifact.name)
    return EvaluationPlan(key=key, settings=settings, state=state, record=record)


def _look_up(results: str, key: str, name: str) -> tuple[State, EvaluationRecord | None]:
    root = Root.open(results)
    try:
        record = EvaluationRecord.model_validate_json(root.read(f"{_folder(key)}/record.json"))
    except FileNotFoundError:
        return "missing", None
    except ValidationError:
        log.warning("%s: the cached record of its predictions cannot be read; inferring again", name)
        return "altered", None
    try:
        intact = record.key == key and sha256_hex(root.read(record.path)) == record.sha256
    except FileNotFoundError:
        intact = False
    if not intact:
        log.warning("%s: its cached predictions are missing or altered; inferring again", name)
        return "altered", None
    _say_what_was_lost(record, name)
    return "cached", record


def carry_out(
    plan: EvaluationPlan,
    artifact: ArtifactRef,
    corpus: Corpus,
    results: str,
    on_progress: Callable[[int], None] = lambda words: None,
) -> EvaluationRecord:
    """The planned evaluation's record: the cached one, or that of a new inference, whose model is evicted again."""
    if plan.record:
        return plan.record
    with tagger_handle(artifact, plan.settings) as handle, tempfile.TemporaryDirectory(prefix="nerbench-") as scratch:
        path = Path(scratch) / "predictions.parquet"
        written = _write_predictions(path, handle.value, corpus, plan.settings.vote, on_progress)
        record = EvaluationRecord(
            key=plan.key,
            sha256=sha256_file(path),
            labels=handle.value.labels,
            ignored_keys=handle.value.ignored_keys,
            **written,
        )
        root = Root.open(results)
        root.replace(record.path, path.read_bytes())
    root.replace(f"{_folder(plan.key)}/record.json", canonical_json(record.model_dump(mode="json")))
    _say_what_was_lost(record, artifact.name)
    return record


def tagger_handle(artifact: ArtifactRef, settings: EvaluationSettings) -> "ArtifactHandle[Tagger]":
    """A lazy handle of the model as it is evaluated with these settings."""
    from tasks.inference.loading import load_tagger, resolve_device

    device = resolve_device(settings.device)

    def load(folder: Path) -> "Tagger":
        return load_tagger(
            folder,
            device=device,
            precision=settings.precision,
            window=settings.window,
            name=artifact.name,
            golden=golden_of(artifact),
        )

    return ArtifactHandle(artifact, load)


def _say_what_was_lost(record: EvaluationRecord, name: str) -> None:
    if record.truncated:
        log.warning("%s: %d words are longer than its window; their first pieces decide", name, record.truncated)
    if record.vanished:
        log.warning("%s: %d words have no piece for its tokenizer; they count as O", name, record.vanished)


def _write_predictions(
    path: Path, tagger: Any, corpus: Corpus, vote: str, on_progress: Callable[[int], None]
) -> dict[str, Any]:
    import pyarrow.parquet as pq

    from tasks.inference.prediction import BLOCK, predict
    from tasks.inference.predictions import SCHEMA, PredictionsDigest, batch, positions

    # A dictionary with "O" twice makes the bytes of the file differ from run to run.
    names = tagger.labels if OUTSIDE in tagger.labels else (*tagger.labels, OUTSIDE)
    digest, done, truncated, vanished, seconds = PredictionsDigest(), 0, 0, 0, 0.0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
        blocks = _timed(predict(tagger, corpus.words, vote=vote))
        for rows, (block, elapsed) in zip(positions(corpus, BLOCK), blocks, strict=True):
            seconds += elapsed
            labels = np.where(block.labels < 0, names.index(OUTSIDE), block.labels).astype(np.int32)
            writer.write_batch(batch(rows, names, labels, block.scores))
            digest.update(*rows, [names[i] for i in labels])
            done, truncated = done + len(labels), truncated + block.truncated
            vanished += int((block.labels < 0).sum())
            on_progress(done)
    return {
        "predictions_digest": digest.hexdigest(),
        "words": done,
        "truncated": truncated,
        "vanished": vanished,
        "evaluate_s": seconds,
    }


def _timed(iterator: Iterator[Any]) -> Iterator[tuple[Any, float]]:
    while True:
        started = time.perf_counter()
        try:
            item = next(iterator)
        except StopIteration:
            return
        yield item, time.perf_counter() - started
