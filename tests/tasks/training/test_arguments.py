"""transformers' TrainingArguments: the defaults of nerbench, and changes by `training_args`."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import ModelConfig
from nerbench.tasks.training.arguments import KEYS, WITHOUT_EFFECT, arguments, check_training_args, resolve_precision


def model(**training_args: Any) -> ModelConfig:
    return ModelConfig(name="m", base="b/c", device="cpu", precision="fp32", training_args=training_args)


def test_defaults_apply_without_training_args(tmp_path: Path) -> None:
    made = arguments(model(), tmp_path)
    assert (made.lr_scheduler_type, made.max_grad_norm, made.eval_strategy) == ("linear", 1.0, "epoch")
    assert made.output_dir == str(tmp_path)


def test_any_field_passes_through(tmp_path: Path) -> None:
    given = {"lr_scheduler_type": "cosine", "max_grad_norm": 0.5, "optim": "adafactor", "report_to": "none"}
    steps = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 10, "save_steps": 20}
    hub = {"push_to_hub": True, "hub_model_id": "org/m", "hub_strategy": "end"}
    made = arguments(model(**given, **steps, **hub), tmp_path)
    assert made.report_to == []
    for name, value in {**given, **steps, **hub, "report_to": []}.items():
        assert getattr(made, name) == value


@pytest.mark.parametrize(
    ("training_args", "says"),
    [
        ({"num_train_epochs": 3}, r"models: m: training_args.num_train_epochs: .*write epochs: … beside training_args"),
        ({"per_device_train_batch_size": 8}, "write batch_tokens: …"),
        ({"output_dir": "/tmp"}, "has no effect: checkpoints are in the working folder"),
        ({"dataloader_num_workers": 2}, "has no effect: the examples are in memory"),
        ({"hub_token": "x"}, "a configuration contains no token"),
        ({"eval_strategy": "no"}, "the best epoch is selected by validation"),
        ({"max_grad_nrom": 1}, "is not a field of TrainingArguments; similar fields: max_grad_norm"),
        ({"lr_scheduler_type": "sideways"}, "sideways.*; correct it"),
        ({"eval_strategy": "steps"}, "training_args: .*strategy"),
    ],
)
def test_invalid_training_args_are_one_line(training_args: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says) as caught:
        arguments(model(**training_args), tmp_path)
    assert "\n" not in str(caught.value)


def test_the_lists_name_arguments_that_exist() -> None:
    known = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert {*KEYS, *WITHOUT_EFFECT} <= known
    for name in known - {*KEYS, *WITHOUT_EFFECT}:
        if not name.startswith("dataloader_"):
            check_training_args(model(**{name: None}))


def test_precision_is_resolved_where_it_is_trained() -> None:
    assert resolve_precision(ModelConfig(name="m", base="b/c", precision="bf16")) == "bf16"
    assert resolve_precision(ModelConfig(name="m", base="b/c")) in {"fp32", "bf16"}
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="fp16 is trained on a CUDA GPU only"):
            resolve_precision(ModelConfig(name="m", base="b/c", precision="fp16"))
