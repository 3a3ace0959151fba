"""A published model with stored predictions that the test chooses, as input of scoring."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from evaluation_records import evaluation_record
from tagging import TYPES, Sentences
from tiny_models import save_bert

from nerbench.artifacts.digests import sha256_hex
from nerbench.artifacts.manifest import ArtifactRef, CorpusDigest, Provenance
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import Store
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.data.corpus_refs import CorpusRef, describe
from nerbench.tasks.data.tag_schemes import tag_vocabulary
from nerbench.tasks.inference.evaluation_cache import Evaluated, EvaluationRecord
from nerbench.tasks.results.rows import write_predictions
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.score_predictions import NamedPredictions, name_predictions
from nerbench.tasks.scoring.stored_predictions import Predicted

LABELS = tag_vocabulary(TYPES)


def run_of(results: str, run_id: str = "first", day: int = 2, attempt: int = 1) -> Run:
    """A run on a day of January 2030."""
    moment = datetime(2030, 1, day, tzinfo=UTC)
    date = moment.date().isoformat()
    return Run(run_id=run_id, flow="benchmark", date=date, started_at=moment, attempt=attempt, results=results)


def valid(sentences: Sentences) -> Sentences:
    """The same tags, with `B-` for each `I-` that does not continue an entity."""
    found = []
    for sentence in sentences:
        tags: list[str] = []
        for tag in sentence:
            continues = bool(tags) and tags[-1][1:] == tag[1:]
            tags.append(f"B{tag[1:]}" if tag[0] == "I" and not continues else tag)
        found.append(tags)
    return found


def write_conll(path: Path, sentences: Sentences, documents: Sequence[int] | None = None) -> str:
    """A CoNLL file with the words w0, w1, …"""
    lines, word = [], 0
    for number, tags in enumerate(sentences):
        if documents is not None and (number == 0 or documents[number] != documents[number - 1]):
            lines += ["-DOCSTART- O", ""]
        lines += [f"w{word + at} {tag}" for at, tag in enumerate(tags)] + [""]
        word += len(tags)
    path.write_text("\n".join(lines) + "\n")
    return str(path)


class Benched(NamedTuple):
    """A model, a corpus, and the model's stored predictions."""

    config: Config
    artifact: ArtifactRef
    ref: CorpusRef
    record: EvaluationRecord

    @property
    def results(self) -> str:
        return self.config.results

    def predicted(self) -> Predicted:
        """The `predictions` table of the first run."""
        return write_predictions(run_of(self.results), self.named(), self.config.benchmark)

    def named(self) -> NamedPredictions:
        """The predictions with the tags of the corpus."""
        evaluated = Evaluated(self.artifact, self.ref, self.record)
        return name_predictions(self.results, evaluated, self.config.benchmark)

    def configured(self, **changes: Any) -> Config:
        """The configuration with other sections."""
        return Config.model_validate(self.config.model_dump() | changes)


def bench(
    folder: Path, gold: Sentences, predicted: Sentences, documents: Sequence[int] | None = None, **sections: Any
) -> Benched:
    """Publish a model that was trained on the words and tags of the test split; `sections` of the configuration."""
    file = write_conll(folder / "own.txt", gold, documents)
    own = {"name": "own", "scheme": "iob2", "files": {"train": file, "test": file}}
    places = {"store": str(folder / "store"), "results": str(folder / "results")}
    config = Config.model_validate(places | {"datasets": [own]} | sections)
    train = load_splits(config.datasets[0])["train"]
    seen = CorpusDigest(dataset="own", split="train", words_sha256=train.words_sha256, gold_sha256=train.gold_sha256)
    model = save_bert(folder / "model", labels=LABELS)
    artifact = Store(config.store).publish(model, "tiny", Provenance(corpora=(seen,)))
    (ref,) = describe(config, config.datasets[0])
    return Benched(config, artifact, ref, _evaluated(config.results, predicted, documents))


def _evaluated(results: str, predicted: Sentences, documents: Sequence[int] | None) -> EvaluationRecord:
    sentence = np.repeat(np.arange(len(predicted), dtype=np.int32), [len(tags) for tags in predicted])
    tags = [tag for sentence in predicted for tag in sentence]
    columns = {
        "document": pa.nulls(len(tags), pa.int32()) if documents is None else np.array(documents, np.int32)[sentence],
        "sentence": sentence,
        "word": np.arange(len(tags), dtype=np.int32),
        "pred": pa.array(tags).dictionary_encode(),
        "score": np.linspace(0.5, 1, len(tags), dtype=np.float32),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    record = evaluation_record(
        sha256=sha256_hex(sink.getvalue()), labels=tuple(LABELS), words=len(tags), evaluate_s=0.0
    )
    open_root(results).replace(record.path, sink.getvalue())
    return record
