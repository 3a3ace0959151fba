"""Fine-tune a token classifier with transformers' Trainer. Run as a child: `python -m tasks.finetune < job.json`.

The job names a ModelConfig, a DatasetConfig and an output folder; the events are training steps and evaluations; the
result holds what the artifact's manifest records of the training.
"""

import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import (
    EvalPrediction,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from artifacts.errors import InputError
from tasks.bases import build
from tasks.batching import TokenBatches
from tasks.child import Emit, Job, serve
from tasks.config import DatasetConfig, ModelConfig
from tasks.corpus import load_splits, pick_split
from tasks.environment import cpu_has_bf16
from tasks.examples import Examples, collate
from tasks.inference import BATCH_PIECES, batches
from tasks.labels import tag_vocabulary
from tasks.modeling import LoadedTokenizer


class TaggerTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose batches are made by token budget."""

    def __init__(self, *, batch_tokens: int, seed: int, pad: int, **options: Any) -> None:
        self.batch_tokens, self.batch_seed, self.pad = batch_tokens, seed, pad
        super().__init__(**options)

    def _loader(self, dataset: Examples, batch_sampler: Any) -> DataLoader[Any]:
        loader: DataLoader[Any] = DataLoader(
            dataset, batch_sampler=batch_sampler, collate_fn=partial(collate, pad=self.pad)
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Length-grouped batches in random order."""
        return self._loader(
            self.train_dataset, TokenBatches(self.train_dataset.lengths, self.batch_tokens, self.batch_seed)
        )

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """The examples in their own (length) order: row i of the predictions is item i."""
        runs = batches(self.eval_dataset.lengths, BATCH_PIECES[self.args.device.type])
        return self._loader(self.eval_dataset, [list(run) for run in runs])


class Progress(TrainerCallback):  # type: ignore[misc]
    """Tells the parent about steps and evaluations."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Forward what the Trainer logs."""
        self.emit(
            {"event": "log", "step": state.global_step, "steps": state.max_steps, "epoch": state.epoch, **(logs or {})}
        )


def resolve_precision(precision: str) -> str:
    """`auto` is bf16 where the hardware computes it natively. Raises InputError for fp16 without a GPU."""
    if precision == "fp16" and not torch.cuda.is_available():
        raise InputError("models: precision", "fp16 is trained on a CUDA GPU only", "use auto, fp32 or bf16")
    if precision != "auto":
        return precision
    native = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else cpu_has_bf16()
    return "bf16" if native else "fp32"


def finetune(job: Job, emit: Emit) -> Job:
    """Train, keep the epoch with the best strict entity F1 on validation, and save it as safetensors."""
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
    trainer = TaggerTrainer(
        batch_tokens=model.batch_tokens,
        seed=model.seed,
        pad=tokenizer.special.pad,
        model=network,
        args=_arguments(model, Path(job["work"])),
        train_dataset=examples,
        eval_dataset=held_out,
        compute_metrics=_metrics(held_out),
        preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(dim=-1),
        callbacks=[Progress(emit)],
    )
    started = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - started
    _save(trainer.model, tokenizer, Path(job["output"]))
    pieces = sum(examples.lengths) * model.epochs
    return _summary(trainer, seconds, pieces, window, resolve_precision(model.precision))


def _arguments(model: ModelConfig, work: Path) -> TrainingArguments:
    precision = resolve_precision(model.precision)
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=model.epochs,
        learning_rate=model.learning_rate,
        warmup_steps=model.warmup,
        weight_decay=model.weight_decay,
        lr_scheduler_type="linear",
        optim="adamw_torch_fused",
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        use_cpu=not (torch.cuda.is_available() or torch.backends.mps.is_available()),
        seed=model.seed,
        data_seed=model.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="f1",
        greater_is_better=True,
        logging_steps=20,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
    )


def _metrics(held_out: Examples) -> Callable[[EvalPrediction], dict[str, float]]:
    from tasks.entity_f1 import EntityF1

    metric = EntityF1()

    def compute(prediction: EvalPrediction) -> dict[str, float]:
        predicted = held_out.tagged(np.asarray(prediction.predictions))
        result = metric.compute(predictions=predicted, references=held_out.corpus.tags)
        return {name: float(value) for name, value in result.items() if value is not None}

    return compute


def _save(network: PreTrainedModel, tokenizer: LoadedTokenizer, output: Path) -> None:
    network.config.dtype = torch.float32
    network.save_pretrained(output)
    tokenizer.wrapper.save_pretrained(output)
    for path in output.iterdir():
        path.chmod(0o644)  # safetensors writes 0600, which keeps colleagues out of a shared folder


def _summary(trainer: Trainer, seconds: float, pieces: float, window: int, precision: str) -> Job:
    history = trainer.state.log_history
    curve = [entry for entry in history if "loss" in entry or "eval_f1" in entry]
    best = max((e for e in curve if "eval_f1" in e), key=lambda e: e["eval_f1"])
    return {
        "metrics": {
            f"validation_{k.removeprefix('eval_')}": v
            for k, v in best.items()
            if k.startswith("eval_") and _is_quality(k)
        },
        "loss_curve": [{k: v for k, v in e.items() if math.isfinite(v)} for e in curve],
        "steps": trainer.state.global_step,
        "train_s": seconds,
        "pieces_per_s": pieces / seconds,
        "window": window,
        "precision": precision,
        "device": str(trainer.args.device),
        "threads": torch.get_num_threads(),
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
    }


def _is_quality(key: str) -> bool:
    return not key.endswith(("_runtime", "_per_second"))


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    serve(finetune)
