"""transformers' Trainer for token classifiers: batches by token budget, stopped and resumed in good order."""

import math
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainerControl, TrainingArguments

from artifacts.errors import InputError, RunFailedError
from tasks.child import Emit
from tasks.config import ModelConfig
from tasks.environment import cpu_has_bf16
from tasks.inference.loading import resolve_device
from tasks.inference.prediction import BATCH_PIECES, batches
from tasks.training.batching import TokenBatches
from tasks.training.examples import Examples, collate

STATE_FILE = "trainer_state.json"
"""What the Trainer writes last: a checkpoint without it is torn."""


class TaggerTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose batches are made by token budget, and which stops at a loss that is no number."""

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

    def training_step(self, *arguments: Any, **options: Any) -> torch.Tensor:
        """One step; raises RunFailedError where its loss is no finite number."""
        loss: torch.Tensor = super().training_step(*arguments, **options)
        if not math.isfinite(value := loss.item()):
            step = self.state.global_step + 1
            raise RunFailedError(f"the loss is {value} at step {step}; lower learning_rate, or train in fp32")
        return loss


class Progress(TrainerCallback):  # type: ignore[misc]
    """Tells the parent about steps and evaluations."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        """Forward what the Trainer logs."""
        self.emit(
            {"event": "log", "step": state.global_step, "steps": state.max_steps, "epoch": state.epoch, **(logs or {})}
        )


class Stopping(TrainerCallback):  # type: ignore[misc]
    """Saves now and then within an epoch, and ends training in good order at SIGTERM or when time is up."""

    def __init__(self, checkpoint_s: float, time_limit_s: float | None) -> None:
        self.checkpoint_s = checkpoint_s
        self.deadline = time.monotonic() + (time_limit_s or math.inf)
        self.saved = time.monotonic()
        self.reason: str | None = None
        """Why training ended before its last step."""
        signal.signal(signal.SIGTERM, self._terminated)

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self.reason = "terminated"

    def on_step_end(self, args: Any, state: Any, control: TrainerControl, **_: Any) -> None:
        """Between two steps is the only place to stop at."""
        now = time.monotonic()
        if now >= self.deadline and not self.reason:
            self.reason = "time limit"
            control.should_evaluate = True
        if self.reason:
            control.should_training_stop = True
        if self.reason or now - self.saved >= self.checkpoint_s:
            control.should_save = True
            self.saved = now


def callbacks(model: ModelConfig, emit: Emit) -> list[TrainerCallback]:
    """What accompanies the training of a model; the first is a Stopping."""
    patience = [EarlyStoppingCallback(model.early_stopping)] if model.early_stopping else []
    return [Stopping(model.checkpoint_s, model.time_limit_s), Progress(emit), *patience]


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint; torn ones, of which a kill leaves one at most, are removed."""
    complete = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / STATE_FILE).exists():
            complete.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def training_device(model: ModelConfig) -> torch.device:
    """Where this process trains; of several GPUs it was shown the chosen one only. Raises InputError."""
    return resolve_device("cuda" if model.device.startswith("cuda") else model.device, f"models: {model.name}: device")


def resolve_precision(model: ModelConfig) -> str:
    """`auto` is bf16 where the hardware computes it natively. Raises InputError for fp16 without a GPU."""
    on_gpu = training_device(model).type == "cuda"
    if model.precision == "fp16" and not on_gpu:
        field = f"models: {model.name}: precision"
        raise InputError(field, "fp16 is trained on a CUDA GPU only", "use auto, fp32 or bf16")
    if model.precision != "auto":
        return model.precision
    return "bf16" if (torch.cuda.is_bf16_supported() if on_gpu else cpu_has_bf16()) else "fp32"


def arguments(model: ModelConfig, work: Path) -> TrainingArguments:
    """The Trainer's settings for a model; checkpoints go to `work`."""
    precision = resolve_precision(model)
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
        use_cpu=training_device(model).type == "cpu",
        seed=model.seed,
        data_seed=model.seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="f1",
        greater_is_better=True,
        logging_steps=20,
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
    )
