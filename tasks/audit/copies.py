"""Copies of everything that a benchmark reads and writes, in separate folders, in which faults can be planted.

A copy has a store with the model twice, as the baseline and as the candidate; an excerpt of the corpus, as many of its
first sentences as a gate needs; and results with one run, which scored the baseline. The functions that flows call make
all of it.
"""

import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from nerbench.artifacts.errors import ConfigError, CorpusError, InputError
from nerbench.artifacts.manifest import ArtifactRef, Provenance
from nerbench.artifacts.references import pull, resolve
from nerbench.artifacts.signatures import TRUSTED_KEYS
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.store import LATEST, Store
from nerbench.tasks.config import Config, DatasetConfig, GateConfig
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.corpus_refs import CorpusRef, describe, open_corpus
from nerbench.tasks.inference.evaluation_cache import Evaluated, EvaluationPlan, carry_out, plan
from nerbench.tasks.results.rows import metric_rows, write_and_count, write_metrics, write_predictions, write_run
from nerbench.tasks.run_identity import Run, utc_now
from nerbench.tasks.scoring.counts import OVERALL
from nerbench.tasks.scoring.score_predictions import name_predictions, score_counts
from nerbench.tasks.scoring.stored_predictions import Predicted

LEAST, MOST = 300, 3000
"""Minimum and maximum number of sentences."""
ENTITIES, UNITS = 50, 20
"""Entities, and documents (sentences if there are no documents) with an entity: an interval needs 30 in 15."""


def write_excerpt(corpus: Corpus, path: Path) -> None:
    """Write JSON lines with `tokens`, IOB2 `ner_tags` and, if the corpus has documents, `document`.

    Raises CorpusError if the sentences hold no entity.
    """
    n_sentences = enough(corpus)
    words, tags = (list(islice(sentences, n_sentences)) for sentences in (corpus.words, corpus.tags))
    if not any(tag != "O" for sentence in tags for tag in sentence):
        problem = f"the first {n_sentences} sentences of the {corpus.split} split hold no entity"
        raise CorpusError(f"dataset {corpus.name}", problem, "audit with another split: --set benchmark.split=…")
    documents = corpus.documents
    with path.open("w", encoding="utf-8") as file:
        for number, (tokens, ner_tags) in enumerate(zip(words, tags, strict=True)):
            document = {} if documents is None else {"document": int(documents[number])}
            file.write(json.dumps({"tokens": tokens, "ner_tags": ner_tags} | document) + "\n")


def enough(corpus: Corpus) -> int:
    """The number of first sentences with ENTITIES in UNITS: at least LEAST, at most MOST or all."""
    n_entities, units = 0, set()
    for number, tags in enumerate(islice(corpus.tags, MOST)):
        if begun := sum(tag.startswith("B-") for tag in tags):
            n_entities += begun
            units.add(number if corpus.documents is None else corpus.documents[number])
        if number + 1 >= LEAST and n_entities >= ENTITIES and len(units) >= UNITS:
            return number + 1
    return min(len(corpus.tags), MOST)


BASELINE, CANDIDATE = "champion", LATEST
"""Aliases of the two artifacts."""
BEFORE, CURRENT = "before", "current"
"""The runs: the one in every copy, and the one that a gate is asked about."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """Store, corpus, results and cache below one folder."""

    folder: Path
    model: str
    """The published name."""
    settings: Config
    """The applicable settings of the user's configuration; `config` has the locations."""
    types: tuple[str, ...]
    """The entity types of the whole data set: the copied sentences may lack one."""
    scored: tuple[str, ...] = (CANDIDATE, BASELINE)
    """Aliases of the models that a run scores."""

    @property
    def config(self) -> Config:
        """The configuration of a run on this copy."""
        benchmark = self.settings.benchmark
        dataset = self.settings.datasets[0].model_copy(update={"files": {benchmark.split: str(self.corpus_file)}})
        where = {"store": str(self.folder / "store"), "results": str(self.folder / "results")}
        return self.settings.model_copy(update=where | {"datasets": (dataset,)})

    @property
    def corpus_file(self) -> Path:
        """JSON lines."""
        return self.folder / "corpus.jsonl"

    @property
    def model_folder(self) -> Path:
        """The model as `save_pretrained` made it."""
        return self.folder / "model"

    def corpus(self) -> CorpusRef:
        """The sentences as they are in the file now."""
        return describe(self.config, self.config.datasets[0])[0].model_copy(update={"types": self.types})

    def artifact(self, alias: str) -> ArtifactRef:
        """The current target of an alias. Raises ArtifactNotFoundError."""
        (found,) = resolve(f"{self.model}@{alias}", self.config.store)
        return found

    def duplicate(self, folder: Path) -> "Copy":
        """Another copy. Its files are hard links, so they may be replaced, but not written to."""
        shutil.copytree(self.folder, folder, copy_function=os.link)
        return replace(self, folder=folder)

    def publish_named(self, labels: Sequence[str]) -> ArtifactRef:
        """Publish the model with these names for its outputs, in order."""
        ids = {label: number for number, label in enumerate(labels)}
        return self.publish(id2label=dict(enumerate(labels)), label2id=ids)

    def publish(self, **changes: Any) -> ArtifactRef:
        """Publish the model with changes of its config.json; it becomes the candidate."""
        root = open_root(str(self.model_folder))
        changed = json.loads(root.read("config.json")) | changes
        root.replace("config.json", json.dumps(changed, indent=2).encode())
        return Store(self.config.store).publish(self.model_folder, self.model, Provenance())


@contextmanager
def private_cache(folder: Path) -> Iterator[None]:
    """Keep models below this folder, so that the user's cache is neither used nor changed."""
    with _variable("NERBENCH_CACHE", str(folder)):
        yield


@contextmanager
def unsigned() -> Iterator[None]:
    """Load models without a signature: that of the original does not cover its copies."""
    with _variable(TRUSTED_KEYS, None):
        yield


@contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    """Set a variable of the environment, or remove it."""
    before = os.environ.pop(name, None)
    os.environ |= {} if value is None else {name: value}
    try:
        yield
    finally:
        os.environ.pop(name, None)
        os.environ |= {} if before is None else {name: before}


def prepare(config: Config, artifact: ArtifactRef, folder: Path) -> Copy:
    """Copy the model and the first sentences of the first data set, and score the baseline, without any fault.

    The gate has its default rule, with the configuration's margin and confidence.

    Raises:
        ConfigError: There is no data set.
        CorpusError, LabelError, CorruptArtifactError: Corpus or model cannot be used.
        UnsafeArtifactError: The model lacks a signature that NERBENCH_TRUSTED_KEYS requires.
        InputError: The model predicts the same for every word, so that no fault would change anything.
    """
    if not config.datasets:
        remedy = "add one, e.g. {name: mine, files: {test: test.txt}}"
        raise ConfigError("datasets", "there is no corpus to audit with", remedy)
    whole = describe(config.model_copy(update={"golds": ()}), config.datasets[0])[0]
    name = artifact.name.rpartition("/")[2]
    copy = Copy(folder=folder, model=name, settings=_settings(config, whole), types=whole.types)
    pull(artifact, copy.model_folder)
    write_excerpt(open_corpus(whole), copy.corpus_file)
    declared = config.benchmark.labels_of.get(artifact.name)
    first = copy.publish_named(declared) if declared else copy.publish()
    Store(copy.config.store).set_alias(name, BASELINE, first.artifact_id)
    copy.publish()
    with unsigned():
        score(copy, BEFORE, BASELINE)
        _require_different_tags(copy)
    return copy


def look_up(copy: Copy, alias: str) -> EvaluationPlan:
    """The cached state of an evaluation."""
    config = copy.config
    return plan(copy.artifact(alias), copy.corpus().words_sha256, config.benchmark, config.results)


def evaluate(copy: Copy, alias: str) -> Evaluated:
    """An evaluation: the cached one, or that of an inference."""
    artifact, ref = copy.artifact(alias), copy.corpus()
    record = carry_out(look_up(copy, alias), artifact, open_corpus(ref), copy.config.results, ref=ref)
    return Evaluated(artifact, ref, record)


def predict(copy: Copy, run_id: str, alias: str) -> Predicted:
    """Store the predictions of an artifact, as a run does."""
    named = name_predictions(copy.config.results, evaluate(copy, alias), copy.config.benchmark)
    return write_predictions(run_of(copy, run_id), named, copy.config.benchmark)


def score(copy: Copy, run_id: str, alias: str) -> Predicted:
    """Store the predictions and overall scores of an artifact, and the run's row in `runs`."""
    run, config = run_of(copy, run_id), copy.config
    predicted, counted = write_and_count(run, evaluate(copy, alias), config)
    scored = score_counts(config.results, counted, OVERALL, config)
    write_metrics(run, predicted, metric_rows(run, predicted, scored))
    write_run(run, config, {}, "ok")
    return predicted


def run_of(copy: Copy, run_id: str) -> Run:
    """A run that writes to the copy's results."""
    now = utc_now()
    return Run(
        run_id=run_id,
        flow="audit",
        date=now.date().isoformat(),
        started_at=now,
        attempt=0,
        results=copy.config.results,
    )


def _require_different_tags(copy: Copy) -> None:
    data = open_root(copy.config.results).read(evaluate(copy, BASELINE).record.path)
    tags = pq.read_table(io.BytesIO(data))["pred"].unique()
    if len(tags) < 2:
        remedy = "name a trained one: nerbench doctor --audit REF"
        raise InputError(f"model {copy.model}", f"predicts {tags[0]} for every word", remedy)


def _settings(config: Config, whole: CorpusRef) -> Config:
    documents = open_corpus(whole).documents
    dataset = DatasetConfig(
        name=whole.dataset.name,
        format="json",
        files={whole.split: "corpus.jsonl"},
        columns={} if documents is None else {"document": "document"},
        scheme="iob2",
    )
    always = {"labels": "all", "labels_of": {}, "refresh": False}
    gate = (config.gate or GateConfig()).model_copy(
        update={"baseline": BASELINE, "rules": GateConfig().rules, "promote": False}
    )
    return Config(datasets=(dataset,), benchmark=config.benchmark.model_copy(update=always), gate=gate)
