"""The parent's side of training: start the child, keep its folder, and say where the model came from."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from artifacts.cache import cache_folder
from artifacts.digests import canonical_json, sha256_hex
from artifacts.errors import RunFailedError
from artifacts.manifest import ArtifactRef, BaseSource, CodeVersion, CorpusDigest, Provenance
from artifacts.store import Store
from tasks.child import Job, run_child
from tasks.config import DatasetConfig, ModelConfig, Section
from tasks.corpora.corpus import load_splits, pick_split
from tasks.environment import code_version, environment, library_versions
from tasks.runs import utc_now

SEEN = ("train", "validation")
"""The splits that training reads: one to learn from, one to choose the best epoch by."""


class TrainedModel(Section):
    """A fine-tuned model in a local folder, ready to be published."""

    name: str
    folder: str
    provenance: Provenance
    train_s: float


def train(model: ModelConfig, dataset: DatasetConfig, on_event: Callable[[Job], None]) -> TrainedModel:
    """Fine-tune in a child process; `on_event` hears its steps and evaluations. Raises like `run_child`.

    The working folder is named by the configuration and the corpora; training goes on from the newest checkpoint
    that an interrupted run left there.
    """
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
            "tasks.training.finetune", job, what=f"training {model.name}", on_event=on_event, env=_one_gpu(model.device)
        )
    return TrainedModel(
        name=model.name,
        folder=str(output),
        provenance=_provenance(model, corpora, result),
        train_s=result["train_s"],
    )


def _one_gpu(device: str) -> dict[str, str]:
    """Show the child one GPU only: given several, Trainer would spread a batch over all of them."""
    if device in {"cpu", "mps"}:
        return {}
    number = int(device.partition(":")[2] or 0)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[number] if visible else str(number)}


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


def publish(trained: TrainedModel, store: Store) -> ArtifactRef:
    """Publish a trained model and remove its working folder."""
    folder = Path(trained.folder)
    artifact = store.publish(folder, trained.name, trained.provenance)
    shutil.rmtree(folder.parent, ignore_errors=True)
    return artifact


def _corpora(dataset: DatasetConfig) -> tuple[CorpusDigest, ...]:
    splits = load_splits(dataset)
    seen = [pick_split(splits, split, dataset) for split in SEEN]
    return tuple(
        CorpusDigest(
            dataset=dataset.name, split=corpus.split, words_sha256=corpus.words_sha256, gold_sha256=corpus.gold_sha256
        )
        for corpus in seen
    )


def _provenance(model: ModelConfig, corpora: tuple[CorpusDigest, ...], result: Job) -> Provenance:
    here = environment()
    facts = {key: value for key, value in result.items() if key not in {"metrics", "loss_curve"}}
    base = BaseSource(name=model.base, revision=model.revision) if isinstance(model.base, str) else None
    return Provenance(
        created_at=utc_now(),
        base_model=base,
        corpora=corpora,
        training=model.model_dump(mode="json") | facts,
        seed=model.seed,
        metrics=result["metrics"],
        loss_curve=result["loss_curve"],
        code=CodeVersion(**code_version()),
        versions=library_versions(),
        hardware={key: here[key] for key in ("cpu", "threads", "ram_bytes", "gpu", "driver", "cuda")},
    )
