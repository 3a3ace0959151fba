"""The parent's side of training: start the child, keep its folder, and say where the model came from."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from artifacts.digests import canonical_json, sha256_hex
from artifacts.errors import InputError, RunFailedError
from artifacts.folder import describe_folder, refuse_unsafe
from artifacts.manifest import (
    ArtifactRef,
    BaseSource,
    CodeVersion,
    CorpusDigest,
    CorpusFile,
    Golden,
    Provenance,
)
from artifacts.storage.cache import cache_folder
from artifacts.storage.filesystem import Root
from artifacts.store import Store
from tasks.child import Job, run_child
from tasks.config import DatasetConfig, ModelConfig, Section
from tasks.corpora.corpus import load_splits, pick_split
from tasks.environment import code_version, environment, library_versions
from tasks.runs import utc_now

KEPT_ELSEWHERE = frozenset({"metrics", "loss_curve", "golden", "base_commit"})
"""What the child tells that has a field of its own."""
SEEN = ("train", "validation")
"""The splits that training reads: one to learn from, one to choose the best epoch by."""


class TrainedModel(Section):
    """A fine-tuned model in a local folder, ready to be published."""

    name: str
    folder: str
    provenance: Provenance
    golden: Golden | None = None
    train_s: float


def train(model: ModelConfig, dataset: DatasetConfig, on_event: Callable[[Job], None]) -> TrainedModel:
    """Fine-tune in a child process; `on_event` hears its steps and evaluations. Raises like `run_child`.

    The working folder is named by the configuration and the corpora; training goes on from the newest checkpoint
    that an interrupted run left there.
    """
    base = _base(model)
    corpora = _corpora(dataset)
    identity = canonical_json([model.model_dump(mode="json"), *(c.model_dump(mode="json") for c in corpora)])
    work = cache_folder() / "training" / sha256_hex(identity)[:32]
    output = work / "model"
    job = {
        "model": model.model_dump(mode="json"),
        "dataset": dataset.model_dump(mode="json"),
        "work": str(work / "checkpoints"),
        "output": str(output),
    }
    with _alone_in(work, model.name):
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        result = run_child(
            "tasks.training.finetune", job, what=f"training {model.name}", on_event=on_event, env=_gpus(model)
        )
    return TrainedModel(
        name=model.name,
        folder=str(output),
        provenance=_provenance(model, dataset, corpora, base, result),
        golden=Golden.model_validate(result["golden"]),
        train_s=result["train_s"],
    )


def _gpus(model: ModelConfig) -> dict[str, str]:
    """Show the child as many GPUs as it has processes: given more, Trainer would spread a batch over all of them."""
    if model.device in {"cpu", "mps"}:
        return {}
    first = int(model.device.partition(":")[2] or 0)
    wanted = range(first, first + model.processes)
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return {"CUDA_VISIBLE_DEVICES": ",".join(visible.split(",")[wanted.start : wanted.stop])}
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, wanted))}


@contextmanager
def _alone_in(work: Path, name: str) -> Iterator[None]:
    """Hold the folder for this process: two trainings would tear each other's checkpoints."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFailedError(f"{name} is being trained by another process; wait for it, or end it") from None
        yield


def publish(trained: TrainedModel, store: Store, run_id: str | None = None) -> ArtifactRef:
    """Publish a trained model, as what that run made, and remove its working folder."""
    folder = Path(trained.folder)
    provenance = trained.provenance.model_copy(update={"run_id": run_id} if run_id else {})
    artifact = store.publish(folder, trained.name, provenance, trained.golden)
    shutil.rmtree(folder.parent, ignore_errors=True)
    return artifact


def _corpora(dataset: DatasetConfig) -> tuple[CorpusDigest, ...]:
    splits = load_splits(dataset)
    seen = [pick_split(splits, split, dataset) for split in SEEN]
    return tuple(
        CorpusDigest(
            dataset=dataset.name,
            split=corpus.split,
            words_sha256=corpus.words_sha256,
            gold_sha256=corpus.gold_sha256,
            files=_files(dataset, corpus.split),
        )
        for corpus in seen
    )


def _files(dataset: DatasetConfig, split: str) -> tuple[CorpusFile, ...]:
    if split not in dataset.files:
        return ()
    folder, _, name = dataset.files[split].rpartition("/")
    return (CorpusFile(name=name, sha256=Root.open(folder or ".").sha256(name)),)


def _base(model: ModelConfig) -> BaseSource | None:
    """What is fine-tuned, if it is a model. Raises UnsafeArtifactError for a folder that must not be loaded."""
    if not isinstance(model.base, str):
        return None
    if not Path(model.base).is_dir():
        return BaseSource(name=model.base, revision=model.revision)
    refuse_unsafe(Root.open(model.base))
    try:
        digest = describe_folder(model.base, "base", Provenance()).model_sha256
    except InputError:  # what it is needed for will say what is wrong with it
        digest = None
    return BaseSource(name=model.base, sha256=digest)


def _provenance(
    model: ModelConfig, dataset: DatasetConfig, corpora: tuple[CorpusDigest, ...], base: BaseSource | None, result: Job
) -> Provenance:
    here = environment()
    facts = {key: value for key, value in result.items() if key not in KEPT_ELSEWHERE}
    configuration = [model.model_dump(mode="json"), dataset.model_dump(mode="json")]
    if base and result["base_commit"]:
        base = base.model_copy(update={"revision": result["base_commit"]})
    return Provenance(
        created_at=utc_now(),
        base_model=base,
        corpora=corpora,
        training=model.model_dump(mode="json") | facts,
        configuration_sha256=sha256_hex(canonical_json(configuration)),
        train_s=result["train_s"],
        seed=model.seed,
        metrics=result["metrics"],
        loss_curve=result["loss_curve"],
        code=CodeVersion(**code_version()),
        versions=library_versions(),
        hardware={key: here[key] for key in ("cpu", "threads", "ram_bytes", "gpu", "driver", "cuda")},
    )
