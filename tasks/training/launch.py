"""The parent's side of training: identify the training, run the child process, and record the provenance.

`plan_training` identifies a training. `reserved` locks its working folder while `train` and `publish` use it.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from nerbench.artifacts import hub_models
from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.local_copies import cache_folder
from nerbench.artifacts.manifest import (
    ArtifactRef,
    BaseSource,
    CodeVersion,
    CorpusDigest,
    Golden,
    NamedFile,
    Provenance,
)
from nerbench.artifacts.model_folder import refuse_unsafe
from nerbench.artifacts.storage.open_root import open_root
from nerbench.artifacts.storage.paths import write_whole
from nerbench.artifacts.store import Store
from nerbench.tasks.child_process import Job, run_child
from nerbench.tasks.config import DatasetConfig, ModelConfig, Section
from nerbench.tasks.data.corpus import load_splits, pick_split, warn_of_repairs
from nerbench.tasks.environment import code_version, environment, library_versions
from nerbench.tasks.inference.processes import run_processes, visible_gpus
from nerbench.tasks.run_identity import utc_now

log = logging.getLogger(__name__)
KEPT_ELSEWHERE = frozenset({"metrics", "loss_curve", "golden", "run_train_s"})
"""Results of the child that have their own field."""
FINISHED = "trained.json"
"""The record of a finished training, in its working folder."""
SEEN = ("train", "validation")
"""The splits that training reads: one to learn from, one to select the best epoch."""


def base_source(model: ModelConfig) -> BaseSource | None:
    """The base model with its digest or commit; None if training starts from random weights.

    Raises UnsafeArtifactError for a folder that must not be loaded, and for a model of the Hub like
    `hub_models.resolve`.
    """
    if not isinstance(model.base, str):
        return None
    if not Path(model.base).is_dir():
        return BaseSource(name=model.base, revision=hub_models.resolve(model.base, model.revision))
    refuse_unsafe(open_root(model.base))
    return BaseSource(name=model.base, sha256=folder_sha256(model.base))


def folder_sha256(folder: str) -> str:
    """The `model_sha256` that a folder gets when it is published, even if it is not publishable yet."""
    root = open_root(folder)
    return sha256_hex(
        canonical_json(sorted([file, root.sha256(file)] for file in root.files() if hub_models.is_safe(file)))
    )


class TrainingPlan(Section):
    """The model, the data and the folder of a training. Plans for the same training are equal in all processes."""

    model: ModelConfig
    dataset: DatasetConfig
    corpora: tuple[CorpusDigest, ...]
    base: BaseSource | None
    work: str
    """The working folder, named by all other fields."""


class TrainedModel(Section):
    """A fine-tuned model in a local folder, ready for publication."""

    name: str
    folder: str
    provenance: Provenance
    golden: Golden | None = None
    train_s: float
    """Seconds of training in the run that made it; the provenance has those of all runs that it took."""


def plan_training(model: ModelConfig, dataset: DatasetConfig) -> TrainingPlan:
    """Identify a training by its configuration, its words and tags, and the content of its base.

    The target of a push to the Hub does not matter. Raises CorpusError, InputError for invalid `training_args`, and
    like `base_source`.
    """
    if model.training_args:
        from nerbench.tasks.training.arguments import check_training_args  # imports torch and transformers

        check_training_args(model)
    model = model.model_copy(update={"push_to_hub": False, "hub_model_id": None})
    base, corpora = base_source(model), _corpora(dataset)
    seen = [part.model_dump(mode="json") for part in (*corpora, *([base] if base else []))]
    identity = sha256_hex(canonical_json([model.as_recorded(), *seen]))
    work = cache_folder() / "training" / identity[:32]
    return TrainingPlan(model=model, dataset=dataset, corpora=corpora, base=base, work=str(work))


@contextmanager
def reserved(plan: TrainingPlan) -> Iterator[None]:
    """Lock the working folder from before training until after publication; other processes wait.

    Two processes in one folder would damage each other's checkpoints, or remove what the other one publishes.
    """
    lock = Path(f"{plan.work}.lock")  # beside the folder, because publication removes the folder
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            holder = held.read() or "another process"
            log.warning("%s is being trained by %s; waiting until that is done", plan.model.name, holder)
            fcntl.flock(held, fcntl.LOCK_EX)
        held.truncate(0)
        held.write(f"process {os.getpid()} in {Path.cwd()}")
        held.flush()
        yield


def train(plan: TrainingPlan, on_event: Callable[[Job], None]) -> TrainedModel:
    """Fine-tune in a child process; `on_event` gets its steps and evaluations. Raises like `run_child`.

    Training continues from the newest checkpoint that an interrupted run left in the working folder. A model that a run
    finished, but could not publish, is not trained again.
    """
    model, work = plan.model, Path(plan.work)
    output = work / "model"
    if finished := _finished(work):
        log.info("%s is trained already and not yet published", model.name)
        return finished.model_copy(update={"train_s": 0.0})
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    result = _finetune(plan, on_event)
    if result["batch_tokens"] != model.batch_tokens:
        log.warning(
            "%s: batches of %d do not fit into memory; trained with batches of %d, %d a step",
            *(model.name, model.batch_tokens, result["batch_tokens"], result["gradient_accumulation"]),
        )
    trained = TrainedModel(
        name=model.name,
        folder=str(output),
        provenance=_provenance(plan, result),
        golden=Golden.model_validate(result["golden"]),
        train_s=result["run_train_s"],
    )
    write_whole(work / FINISHED, [trained.model_dump_json().encode()])
    return trained


def _finetune(plan: TrainingPlan, on_event: Callable[[Job], None]) -> Job:
    model, what = plan.model, f"training {plan.model.name}"
    if model.processes == 1:
        env = visible_gpus(model.device, 1)
        return run_child("nerbench.tasks.training.finetune", _job(plan), what=what, on_event=on_event, env=env)
    return run_processes(
        "nerbench.tasks.training.finetune:finetune",
        _job(plan),
        processes=model.processes,
        device=model.device,
        field=f"models: {model.name}: ",
        what=what,
        on_event=on_event,
    )[0]


def _finished(work: Path) -> TrainedModel | None:
    """The model of a finished training. Its folder is complete, because the record is written last."""
    try:
        return TrainedModel.model_validate_json((work / FINISHED).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _job(plan: TrainingPlan) -> Job:
    """The job of the child. A base on the Hub is named by the commit in the plan, because its branch may move."""
    pinned = {"revision": plan.base.revision} if plan.base and plan.base.revision else {}
    return {
        "model": plan.model.model_copy(update=pinned).model_dump(mode="json"),
        "dataset": plan.dataset.model_dump(mode="json"),
        "base_sha256": plan.base.sha256 if plan.base else None,
        "work": str(Path(plan.work) / "checkpoints"),
        "output": str(Path(plan.work) / "model"),
    }


def publish(trained: TrainedModel, store: str, run_id: str | None = None) -> ArtifactRef:
    """Publish a trained model as a result of that run, and remove its working folder."""
    folder = Path(trained.folder)
    provenance = trained.provenance.model_copy(update={"run_id": run_id} if run_id else {})
    artifact = Store(store).publish(folder, trained.name, provenance, trained.golden)
    (folder.parent / FINISHED).unlink(missing_ok=True)  # first, because it means that the rest is complete
    shutil.rmtree(folder.parent, ignore_errors=True)
    return artifact


def _corpora(dataset: DatasetConfig) -> tuple[CorpusDigest, ...]:
    splits = load_splits(dataset)
    seen = [pick_split(splits, split, dataset) for split in SEEN]
    for corpus in seen:
        warn_of_repairs(f"data set {dataset.name}, {corpus.split}", corpus)
    return tuple(
        CorpusDigest(
            dataset=dataset.name,
            split=corpus.split,
            words_sha256=corpus.words_sha256,
            gold_sha256=corpus.gold_sha256,
            files=_files(dataset, corpus.split),
            divided=str(dataset.split) if corpus.rows is not None else None,
            tokenizer=corpus.tokenizer,
        )
        for corpus in seen
    )


def _files(dataset: DatasetConfig, split: str) -> tuple[NamedFile, ...]:
    if (file := dataset.file_of(split)) is None:
        return ()
    folder, _, name = file.rpartition("/")
    return (NamedFile(name=name, sha256=open_root(folder or ".").sha256(name)),)


def _provenance(plan: TrainingPlan, result: Job) -> Provenance:
    here, model = environment(), plan.model
    facts = {key: value for key, value in result.items() if key not in KEPT_ELSEWHERE}
    configuration = [model.as_recorded(), plan.dataset.model_dump(mode="json")]
    return Provenance(
        created_at=utc_now(),
        base_model=plan.base,
        corpora=plan.corpora,
        training=model.as_recorded() | facts,
        configuration_sha256=sha256_hex(canonical_json(configuration)),
        train_s=result["train_s"],
        seed=model.seed,
        metrics=result["metrics"],
        loss_curve=result["loss_curve"],
        code=CodeVersion(**code_version()),
        versions=library_versions(),
        hardware={key: here[key] for key in ("cpu", "threads", "ram_bytes", "gpu", "driver", "cuda")},
    )
