"""Fine-tune a token classifier with Trainer. Run as a child: `python -m nerbench.tasks.training.finetune < job.json`.

The job names a ModelConfig, a DatasetConfig, an output folder and a folder of checkpoints; training continues from the
newest checkpoint. The events are training steps and evaluations. The result has what the artifact's manifest records.
"""

import math
import time
from pathlib import Path

import torch
from transformers import PreTrainedModel, Trainer

from nerbench.artifacts.errors import RunFailedError
from nerbench.artifacts.storage.paths import room_for
from nerbench.tasks.child_process import Emit, Job, serve
from nerbench.tasks.config import DatasetConfig, ModelConfig
from nerbench.tasks.inference.golden_check import record
from nerbench.tasks.inference.loaded_model import LoadedTokenizer
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.training.arguments import resolve_precision
from nerbench.tasks.training.distributed import ranks
from nerbench.tasks.training.launch import folder_sha256
from nerbench.tasks.training.out_of_memory import largest_that_fits, memory_errors
from nerbench.tasks.training.setup import make_trainer, prepare
from nerbench.tasks.training.stop_and_resume import callbacks, newest_checkpoint, step_of


def finetune(job: Job, emit: Emit) -> Job:
    """Fine-tune a model, keep the epoch with the best validation F1, and save it as safetensors.

    If memory runs out, a single process restarts with half the batch size and twice the gradient accumulation. Raises
    RunFailedError if no batch size fits, the loss is not finite, or SIGTERM arrives (after a last checkpoint).
    """
    model = ModelConfig(**job["model"])

    def attempt(model: ModelConfig) -> Job:
        return _finetune(model, job, emit)

    with memory_errors(model):
        return largest_that_fits(attempt, model, Path(job["work"])) if model.processes == 1 else attempt(model)


def _finetune(model: ModelConfig, job: Job, emit: Emit) -> Job:
    work, output = Path(job["work"]), Path(job["output"])
    with ranks(model) as together:
        newest = newest_checkpoint(work) if together.number == 0 else None  # this removes torn ones
        resumed_from = together.broadcast(step_of(newest) if newest else 0)
        setup = prepare(model, DatasetConfig(**job["dataset"]))
        _refuse_another_base(model, job.get("base_sha256"))
        stopping, *others = callbacks(model, emit, together)
        trainer = make_trainer(model, setup, work, [stopping, *others], together)
        started = time.perf_counter()
        with room_for(work):
            trainer.train(resume_from_checkpoint=str(work / f"checkpoint-{resumed_from}") if resumed_from else None)
        if together.number:
            return {}
        if stopping.reason == "terminated":
            raise RunFailedError(f"stopped at step {trainer.state.global_step}; run again to go on from there")
        setup.restore_embeddings()
        with room_for(output):
            _save(trainer.model, setup.base.tokenizer, output)
        return _summary(trainer, sum(setup.train.lengths)) | {
            "train_s": stopping.earlier_s + (run_train_s := time.perf_counter() - started),
            "run_train_s": run_train_s,
            "golden": _golden(output, model.name),
            "resumed_from": resumed_from or None,
            "stopped_by": stopping.reason or _stopped_early(trainer),
            "window": setup.base.window,
            "precision": resolve_precision(model),
            "world_size": together.count,
            "batch_tokens": model.batch_tokens,
            "gradient_accumulation": model.gradient_accumulation,
        }


def _refuse_another_base(model: ModelConfig, expected: str | None) -> None:
    """Raise RunFailedError if the base has changed since the training was planned and identified."""
    if expected and folder_sha256(str(model.base)) != expected:
        raise RunFailedError(f"the base {model.base} changed while {model.name} was prepared; run again")


def _save(network: PreTrainedModel, tokenizer: LoadedTokenizer, output: Path) -> None:
    network.config.dtype = torch.float32
    network.save_pretrained(output)
    tokenizer.wrapper.save_pretrained(output)
    for path in output.iterdir():
        path.chmod(0o644)  # safetensors writes 0600, which keeps colleagues out of a shared folder


def _golden(output: Path, name: str) -> Job:
    """The golden outputs of the saved model, which is loaded like any other model."""
    return record(load_tagger(output, device=torch.device("cpu"), name=name)).model_dump(mode="json")


def _stopped_early(trainer: Trainer) -> str | None:
    return "early stopping" if trainer.state.global_step < trainer.state.max_steps else None


def _summary(trainer: Trainer, pieces_per_epoch: int) -> Job:
    history = trainer.state.log_history
    curve = [entry for entry in history if "loss" in entry or "eval_f1" in entry]
    best = next(e for e in curve if "eval_f1" in e and e["step"] == trainer.state.best_global_step)
    quality = {k.removeprefix("eval_"): v for k, v in best.items() if k.startswith("eval_") and _is_quality(k)}
    return {
        "metrics": {f"validation_{name}": value for name, value in quality.items()},
        "loss_curve": [{k: v for k, v in e.items() if math.isfinite(v)} for e in curve],
        "steps": trainer.state.global_step,
        "pieces": round(pieces_per_epoch * trainer.state.epoch),
        "device": str(trainer.args.device),
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
    }


def _is_quality(key: str) -> bool:
    return not key.endswith(("_runtime", "_per_second"))


if __name__ == "__main__":
    serve(finetune)
