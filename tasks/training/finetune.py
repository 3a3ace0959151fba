"""Fine-tune a token classifier with Trainer. Run as a child: `python -m tasks.training.finetune < job.json`.

The job names a ModelConfig, a DatasetConfig, an output folder and a folder of checkpoints, from the newest of which
training goes on; the events are training steps and evaluations; the result holds what the artifact's manifest records.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from transformers import EvalPrediction, PreTrainedModel, Trainer, set_seed

from artifacts.errors import RunFailedError
from tasks.child import Emit, Job, serve
from tasks.config import DatasetConfig, ModelConfig
from tasks.corpora.corpus import load_splits, pick_split
from tasks.corpora.labels import tag_vocabulary
from tasks.inference.golden import record
from tasks.inference.loading import LoadedTokenizer, load_tagger
from tasks.training.bases import build
from tasks.training.examples import Examples
from tasks.training.trainer import TaggerTrainer, arguments, callbacks, newest_checkpoint, resolve_precision


def finetune(job: Job, emit: Emit) -> Job:
    """Train, keep the epoch with the best strict entity F1 on validation, and save it as safetensors.

    Raises RunFailedError where memory runs out, the loss is no number, or SIGTERM came (after a last checkpoint).
    """
    model, dataset = ModelConfig(**job["model"]), DatasetConfig(**job["dataset"])
    splits = load_splits(dataset)
    train, validation = (pick_split(splits, split, dataset) for split in ("train", "validation"))
    tags = tag_vocabulary(train.types)
    set_seed(model.seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # a debugging aid that costs time
    network, tokenizer, window = build(model, train, tags)
    examples = Examples(train, tokenizer, window, tags)
    held_out = Examples(validation, tokenizer, window, tags)
    stopping, *others = callbacks(model, emit)
    trainer = TaggerTrainer(
        batch_tokens=model.batch_tokens,
        seed=model.seed,
        pad=tokenizer.special.pad,
        model=network,
        args=arguments(model, Path(job["work"])),
        train_dataset=examples,
        eval_dataset=held_out,
        compute_metrics=_metrics(held_out),
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(dim=-1),
        callbacks=[stopping, *others],
    )
    started = time.perf_counter()
    checkpoint = newest_checkpoint(Path(job["work"]))
    with _memory_errors(model):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if stopping.reason == "terminated":
        raise RunFailedError(f"stopped at step {trainer.state.global_step}; run again to go on from there")
    _save(trainer.model, tokenizer, Path(job["output"]))
    return _summary(trainer, sum(examples.lengths)) | {
        "train_s": time.perf_counter() - started,
        "golden": _golden(Path(job["output"]), model.name),
        "base_commit": getattr(network.config, "_commit_hash", None),
        "resumed_from": int(checkpoint.name.rpartition("-")[2]) if checkpoint else None,
        "stopped_by": stopping.reason or _stopped_early(trainer),
        "window": window,
        "precision": resolve_precision(model),
    }


@contextmanager
def _memory_errors(model: ModelConfig) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).lower()
        if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
            problem = (
                f"out of memory with batch_tokens {model.batch_tokens} and window {model.window or 'of the model'}"
            )
            raise RunFailedError(f"{problem}; halve batch_tokens, or give a smaller window") from error
        raise


def _metrics(held_out: Examples) -> Callable[[EvalPrediction], dict[str, float]]:
    from tasks.training.entity_f1 import EntityF1

    metric = EntityF1()

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        predicted = held_out.tagged(np.asarray(prediction.predictions))
        result = metric.compute(predictions=predicted, references=list(held_out.corpus.tags))
        return {name: float(value) for name, value in result.items() if value is not None}

    return compute


def _save(network: PreTrainedModel, tokenizer: LoadedTokenizer, output: Path) -> None:
    network.config.dtype = torch.float32
    network.save_pretrained(output)
    tokenizer.wrapper.save_pretrained(output)
    for path in output.iterdir():
        path.chmod(0o644)  # safetensors writes 0600, which keeps colleagues out of a shared folder


def _golden(output: Path, name: str) -> Job:
    """What the saved model says, loaded as a stranger would load it."""
    return record(load_tagger(output, device=torch.device("cpu"), name=name)).model_dump(mode="json")


def _stopped_early(trainer: Trainer) -> str | None:
    return "early stopping" if trainer.state.global_step < trainer.state.max_steps else None


def _summary(trainer: Trainer, pieces_per_epoch: int) -> Job:
    history = trainer.state.log_history
    curve = [entry for entry in history if "loss" in entry or "eval_f1" in entry]
    best = max((e for e in curve if "eval_f1" in e), key=lambda e: e["eval_f1"])
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
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    serve(finetune)
