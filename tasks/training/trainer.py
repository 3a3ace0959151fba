"""transformers' Trainer for token classifiers: batches by token budget, on one process or on several."""

import math
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import EvalPrediction, Trainer, TrainerControl

from nerbench.artifacts.errors import RunFailedError
from nerbench.tasks.config import ModelConfig
from nerbench.tasks.training.batching import Batches, TokenBatches
from nerbench.tasks.training.tokenized import IGNORED
from nerbench.tasks.training.validation import Validation


def token_loss(
    outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Cross-entropy, summed, over the number of labels in the whole step's batches, on all processes.

    By default every label of these outputs counts. So neither accumulation nor processes change what a step learns.
    """
    logits = outputs.logits.flatten(0, -2).float()
    total = cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return total / ((labels != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch)


class TaggerTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose batches are made by token budget, and which stops at a loss that is no number."""

    control: TrainerControl

    def __init__(self, *, model_config: ModelConfig, validation: Validation, **options: Any) -> None:
        self.model_config, self.validation, self.ranks = model_config, validation, validation.ranks
        super().__init__(compute_loss_func=token_loss, eval_dataset=validation.examples, **options)

    def get_train_dataloader(self) -> Batches:
        """Length-grouped batches in random order; this process's part of each."""
        settings = self.model_config
        sampler = TokenBatches(self.train_dataset.lengths, settings.batch_tokens, settings.seed, self.ranks)
        pinned = self.args.device.type == "cuda"
        return Batches(self.train_dataset, sampler, self.data_collator, pinned=pinned)

    def _prepare_inputs(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.args.device, non_blocking=True) for name, tensor in inputs.items()}

    def training_step(self, *arguments: Any, **options: Any) -> torch.Tensor:
        """One step; raises RunFailedError where its loss is no finite number, on a GPU when that is next told."""
        loss: torch.Tensor = super().training_step(*arguments, **options)
        if loss.device.type == "cpu":  # elsewhere a look would wait for the device
            self._refuse_no_number(loss.item(), self.state.global_step + 1)
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Tell the callbacks; raises RunFailedError for a loss that is no finite number."""
        self._refuse_no_number(logs.get("loss", 0.0), self.state.global_step)
        super().log(logs, start_time)

    def _refuse_no_number(self, loss: float, step: int) -> None:
        if not math.isfinite(loss):
            raise RunFailedError(f"the loss is {loss} at step {step}; lower learning_rate, or train in fp32")

    def evaluate(self, *_: Any, metric_key_prefix: str = "eval", **__: Any) -> dict[str, float]:
        """Judge the model by the validation split, as Trainer would, but by whole entities and on all processes."""
        predicted, loss = self.validation.predict(self.model, self.args.device)
        gold = self.validation.examples.gold
        scores = {"loss": loss} | self.compute_metrics(EvalPrediction(predictions=predicted, label_ids=gold))
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in scores.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save_rng_state(self, output_dir: str) -> None:
        """Every process's own; the checkpoint's last file is written when all of them are there."""
        super()._save_rng_state(output_dir)
        self.ranks.wait()

    def _finalize_training(self, *arguments: Any) -> Any:
        """The first process chooses and tidies the checkpoints before others look at them."""
        if self.ranks.number:
            self.ranks.wait()
        output = super()._finalize_training(*arguments)
        if not self.ranks.number:
            self.ranks.wait()
        return output

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted here: Trainer would go through all parameters at every step."""
        return 0

    def store_flos(self) -> None:
        """Nothing to store; Trainer would make the processes meet for it."""
