"""Backends in a measuring process (PyTorch eager, compiled or quantized; ONNX Runtime), and FLOPs."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoModelForTokenClassification, PreTrainedConfig

from nerbench.artifacts.errors import CorruptArtifactError
from nerbench.tasks.child_process import Job
from nerbench.tasks.inference.backend_sessions import onnx_model
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import dtype_of, load_network, load_tagger, load_tokenizer, usable_window
from nerbench.tasks.inference.quantized_linear import quantize_linear_layers
from nerbench.tasks.measuring.process.machine_state import weights_bytes
from nerbench.tasks.measuring.subjects import with_labels

CLASSES: dict[str, Any] = {"token": AutoModelForTokenClassification, "none": AutoModel}
"""By head. The first output of such a model is (sentences, tokens, labels), or (sentences, tokens, hidden size)."""


def flops_per_token(
    config: PreTrainedConfig, batch_size: int, sequence_length: int, *, training: bool, head: str = "token"
) -> float:
    """Operations per token of a forward pass, or of a forward and a backward pass, at a sequence length.

    A multiplication and an addition are two operations. Only matrix products count, as is usual; padding does not.
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes a second, and only the processes for memory need it

    model = empty_model(config, head)
    with torch.device("meta"):
        ids = torch.zeros((batch_size, sequence_length), dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(training):
        outputs = model(input_ids=ids)[0]
        if training:
            outputs.sum().backward()
    return float(counter.get_total_flops() / (batch_size * sequence_length))


def empty_model(config: PreTrainedConfig, head: str = "token") -> Any:
    """A model whose weights have shapes, but use no memory."""
    with torch.device("meta"):
        return CLASSES[head].from_config(config, attn_implementation="eager")


SEED = 0
"""Seed of the weights of a configuration, and of random tokens."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A loaded model."""

    config: PreTrainedConfig
    model: Any
    """Called with `input_ids` and perhaps `attention_mask`, (sentences, tokens); see CLASSES for its first output."""
    tagger: LoadedModel | None
    """The tagger with that model; None for an encoder, and for a configuration without weights, which has no
    tokenizer."""
    device: torch.device
    parameters: int
    loaded_bytes: int | None
    """Size of the weights in memory; None if the backend does not report it."""


def load(job: Job, device: torch.device) -> Loaded:
    """The model of a job, by its backend and precision. A model for training stays fp32 and uses autocast."""
    if job["backend"] == "onnx":
        return _load_onnx(job, device)
    loaded = load_eager(job, device, "fp32" if job["workload"] == "training" else job["precision"])
    return _quantized(loaded) if job["backend"] == "int8" else loaded


def load_eager(job: Job, device: torch.device, precision: str) -> Loaded:
    """The model of a job in PyTorch eager mode; a configuration without weights gets seeded random weights."""
    tagger, dtype = None, dtype_of(precision, device)
    if job["folder"] and job["head"] == "token":
        tagger = load_tagger(Path(job["folder"]), device=device, precision=precision, window=job["window"])
        model = tagger.model
    elif job["folder"]:
        model = load_encoder(Path(job["folder"]), dtype).to(device).eval()
    else:
        torch.manual_seed(SEED)
        random = CLASSES[job["head"]].from_config(config_of(job), dtype=torch.float32)
        model = random.to(device, dtype).eval()
    parameters = sum(p.numel() for p in model.parameters())
    return Loaded(
        config=model.config,
        model=model,
        tagger=tagger,
        device=device,
        parameters=parameters,
        loaded_bytes=weights_bytes(model),
    )


def load_encoder(folder: Path, dtype: torch.dtype) -> Any:
    """The encoder of a checkpoint with any head, or none.

    Raises InputError if the folder cannot be loaded, and CorruptArtifactError if weights are missing, except a
    pooler's, because pretraining without sentence pairs has none.
    """
    model, loading = load_network(AutoModel, folder, str(folder), dtype=dtype)
    if lacking := sorted(key for key in loading["missing_keys"] if not key.startswith("pooler.")):
        raise CorruptArtifactError(f"model {folder}: lacks weights ({', '.join(lacking[:3])})")
    return model


def config_of(job: Job) -> PreTrainedConfig:
    """The configuration of a job's model."""
    if job["folder"]:
        return AutoConfig.from_pretrained(job["folder"], local_files_only=True, trust_remote_code=False)
    return AutoConfig.for_model(**with_labels(job["settings"]))


def import_code(config: PreTrainedConfig, head: str = "token") -> None:
    """Import the code of such a model, which is neither part of its memory nor of its loading time."""
    empty_model(config, head)


def compiled(loaded: Loaded, *, dynamic: bool) -> Loaded:
    """The same model with torch.compile, without code compiled for other shapes."""
    torch.compiler.reset()
    return with_model(loaded, torch.compile(loaded.model, dynamic=dynamic))


def with_model(loaded: Loaded, model: Any) -> Loaded:
    """The same with another model."""
    tagger = replace(loaded.tagger, model=model) if loaded.tagger else None
    return replace(loaded, model=model, tagger=tagger)


def _quantized(loaded: Loaded) -> Loaded:
    quantize_linear_layers(loaded.model)
    return replace(loaded, loaded_bytes=weights_bytes(loaded.model))


def _load_onnx(job: Job, device: torch.device) -> Loaded:
    config = config_of(job)
    width = config.num_labels if job["head"] == "token" else config.hidden_size
    model = onnx_model(Path(job["onnx"]), device, width)
    tagger = None
    if job["folder"] and job["head"] == "token":
        tokenizer = load_tokenizer(job["folder"])
        window = usable_window(config.to_dict(), tokenizer.wrapper.model_max_length, job["window"])
        labels = tuple(config.id2label[number] for number in range(config.num_labels))
        tagger = LoadedModel(model=model, tokenizer=tokenizer, labels=labels, window=window, device=device)
    parameters = sum(p.numel() for p in empty_model(config, job["head"]).parameters())
    return Loaded(config=config, model=model, tagger=tagger, device=device, parameters=parameters, loaded_bytes=None)
