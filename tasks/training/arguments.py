"""transformers' TrainingArguments of a model: nerbench's defaults, the keys of the model, and `training_args`."""

import dataclasses
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import ModelConfig
from nerbench.tasks.environment import cpu_has_bf16
from nerbench.tasks.training.distributed import training_device

KEYS = {
    "num_train_epochs": "epochs",
    "learning_rate": "learning_rate",
    "per_device_train_batch_size": "batch_tokens",
    "per_device_eval_batch_size": "batch_tokens",
    "gradient_accumulation_steps": "gradient_accumulation",
    "warmup_steps": "warmup",
    "weight_decay": "weight_decay",
    "bf16": "precision",
    "fp16": "precision",
    "use_cpu": "device",
    "seed": "seed",
    "data_seed": "seed",
}
"""Fields of TrainingArguments that a key of the model sets."""
_BATCHES = "`batch_tokens` sets the size of batches, which hold examples of similar lengths"
_IN_MEMORY = "the examples are in memory"
_WORK = "checkpoints are in the working folder, from which an interrupted training resumes"
_VALIDATION = "the validation split is always scored as a whole, by entities"
WITHOUT_EFFECT = {
    **dict.fromkeys(("auto_find_batch_size", "train_sampling_strategy", "length_column_name"), _BATCHES),
    **dict.fromkeys(("remove_unused_columns", "label_names"), "the examples contain only the inputs of the model"),
    **dict.fromkeys(("output_dir", "resume_from_checkpoint", "restore_callback_states_from_checkpoint"), _WORK),
    **dict.fromkeys(("do_train", "do_eval", "do_predict"), "a model is always trained and validated"),
    **dict.fromkeys(
        ("eval_accumulation_steps", "eval_do_concat_batches", "eval_use_gather_object", "batch_eval_metrics"),
        _VALIDATION,
    ),
    **dict.fromkeys(("include_for_metrics", "prediction_loss_only", "bf16_full_eval", "fp16_full_eval"), _VALIDATION),
    "label_smoothing_factor": "the loss is the sum over the words of a step",
    "disable_tqdm": "progress is shown by nerbench",
    "hub_token": "a configuration contains no token; log in with `hf auth login`",
}
"""Fields of TrainingArguments that have no effect here, with the reason."""


def check_training_args(model: ModelConfig) -> None:
    """Raise InputError if a field of `training_args` does not exist, has no effect, or is set by a key of the model."""
    known = [field.name for field in dataclasses.fields(TrainingArguments)]
    for name, value in model.training_args.items():
        field = f"models: {model.name}: training_args.{name}"
        if name in KEYS:
            raise InputError(field, "is set by a key of the model", f"write {KEYS[name]}: … beside training_args")
        if name in WITHOUT_EFFECT or name.startswith("dataloader_"):
            raise InputError(field, f"has no effect: {WITHOUT_EFFECT.get(name, _IN_MEMORY)}", "leave it out")
        if name not in known:
            close = get_close_matches(name, known, 3) or ["those of transformers.TrainingArguments"]
            raise InputError(field, "is not a field of TrainingArguments", f"similar fields: {', '.join(close)}")
        if name in {"eval_strategy", "save_strategy"} and str(value) == "no":
            raise InputError(field, "cannot be `no`: the best epoch is selected by validation", "use epoch or steps")


def resolve_precision(model: ModelConfig) -> str:
    """`auto` is bf16 if the hardware computes it natively. Raises InputError for fp16 without a GPU."""
    on_gpu = training_device(model).type == "cuda"
    if model.precision == "fp16" and not on_gpu:
        field = f"models: {model.name}: precision"
        raise InputError(field, "fp16 is trained on a CUDA GPU only", "use auto, fp32 or bf16")
    if model.precision != "auto":
        return model.precision
    return "bf16" if (torch.cuda.is_bf16_supported() if on_gpu else cpu_has_bf16()) else "fp32"


def arguments(model: ModelConfig, work: Path) -> TrainingArguments:
    """The TrainingArguments of a model, with checkpoints in `work`. Raises InputError if they are invalid."""
    check_training_args(model)
    precision = resolve_precision(model)
    settings: dict[str, Any] = {
        "output_dir": str(work),
        "num_train_epochs": model.epochs,
        "gradient_accumulation_steps": model.gradient_accumulation,
        "learning_rate": model.learning_rate,
        "warmup_steps": model.warmup,
        "weight_decay": model.weight_decay,
        "lr_scheduler_type": "linear",
        "optim": "adamw_torch_fused",
        "bf16": precision == "bf16",
        "fp16": precision == "fp16",
        "use_cpu": training_device(model).type == "cpu",
        "ddp_broadcast_buffers": False,  # positions and similar modules, the same everywhere
        "seed": model.seed,
        "data_seed": model.seed,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "f1",
        "greater_is_better": True,
        "logging_steps": 20,
        "logging_nan_inf_filter": False,
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
    }
    try:
        return TrainingArguments(**(settings | model.training_args))
    except (TypeError, ValueError, ImportError) as error:
        problem = " ".join(str(error).split())
        raise InputError(f"models: {model.name}: training_args", problem, "correct it") from error
