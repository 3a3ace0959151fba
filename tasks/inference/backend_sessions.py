"""Whole models on ONNX Runtime and OpenVINO: their sessions, and the check of what they compute.

The graph is exported from the verified folder of a model into a temporary one, and read back once.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from nerbench.artifacts.errors import InputError, RunFailedError
from nerbench.artifacts.scratch_folders import scratch_folder
from nerbench.tasks.inference.backends import PROVIDERS, check_backend, export_graph
from nerbench.tasks.inference.loaded_model import Batching, LoadedModel
from nerbench.tasks.inference.optimize import TOLERANCES, golden_inputs, one_by_one, together
from nerbench.tasks.inference.quantized_linear import TOLERANCE as TOLERANCE_INT8

log = logging.getLogger(__name__)


class Logits(NamedTuple):
    """The output of a model outside PyTorch."""

    logits: torch.Tensor
    """(sentences, tokens, labels), or the encoder's (sentences, tokens, hidden size); float32."""


Model = Callable[..., Logits]
"""Called with `input_ids` and perhaps `attention_mask`, (sentences, tokens) int64."""


def use_backend(  # noqa: PLR0913, PLR0917 - the model, and what computes it
    tagger: LoadedModel, folder: Path, backend: str, precision: str, name: str, graph: Path | None = None
) -> LoadedModel:
    """The tagger in `folder`, loaded in fp32 and called `name` in messages, with its model computed by a backend.

    `graph` is the file of `export_graph`; without it, the model is exported to a temporary one.

    Sentences are padded, or only those of equal length computed together if padding changes the logits. Raises
    InputError like `check_backend`, if the model cannot be exported, or if the logits of the golden sentences differ
    from torch's by more than rounding (in int8: by more than 0.3 of the largest one). Logs how many of their tokens get
    another label.
    """
    check_backend(backend, tagger.device.type)
    with scratch_folder() as scratch:
        path = graph or export_graph(folder, scratch, backend, precision, tagger.window, name)
        if backend == "onnxruntime":
            model = onnx_model(path, tagger.device, tagger.model.config.num_labels)
        else:
            model = openvino_model(path)
    return checked(tagger, model, backend, precision, name)


def checked(tagger: LoadedModel, model: Model, backend: str, precision: str, name: str) -> LoadedModel:
    """The tagger with another model, whose logits were compared; see `use_backend`."""
    sentences = golden_inputs(tagger)
    expected = torch.cat(one_by_one(tagger, sentences))
    if precision == "int8":
        allowed = TOLERANCE_INT8 * max(1.0, float(expected.abs().max()))
    else:
        allowed = TOLERANCES[torch.float32] * float(expected.max() - expected.min())
    furthest = 0.0
    batchings: tuple[Batching, ...] = ("padded", "even")
    for batching in batchings:
        found = replace(tagger, model=model, batching=batching)
        logits = torch.cat((together if batching == "padded" else one_by_one)(found, sentences))
        furthest = float((logits - expected).abs().max())
        if furthest <= allowed:
            _report_tags(logits, expected, f"{name} on {backend} in {precision}")
            return found
    problem = f"{backend} changes logits of model {name} in {precision} by {furthest:.3g}; {allowed:.3g} is allowed"
    raise InputError("benchmark.backend", problem, "use torch")


def _report_tags(logits: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    n = int((logits.argmax(1) != expected.argmax(1)).sum())
    level = logging.WARNING if n else logging.INFO
    log.log(level, "%s: %d of %d tokens of the golden sentences get another label than in fp32", what, n, len(logits))


def onnx_model(path: Path, device: torch.device, width: int) -> Model:
    """A model in ONNX Runtime, whose tensors stay on the device.

    Raises RunFailedError if ONNX Runtime falls back to another device, as it does if it cannot load its libraries.
    """
    import onnxruntime

    provider = PROVIDERS[device.type]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    index = {"device_id": device.index or 0} if device.type == "cuda" else {}
    session = onnxruntime.InferenceSession(str(path), options, providers=[(provider, index)])
    if session.get_providers()[0] != provider:
        raise RunFailedError(f"ONNX Runtime cannot load its {provider}; install the libraries that it was built for")

    def call(input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Logits:
        ids = input_ids.contiguous()
        mask = torch.ones_like(ids) if attention_mask is None else attention_mask.contiguous()
        outputs = torch.empty((*input_ids.shape, width), dtype=torch.float32, device=device)
        binding = session.io_binding()
        binding.bind_input("input_ids", **_place(ids, device))
        binding.bind_input("attention_mask", **_place(mask, device))
        binding.bind_output("outputs", **_place(outputs, device))
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # ONNX Runtime has its own stream, for which it waits at the end
        session.run_with_iobinding(binding)
        return Logits(outputs)

    return call


def _place(tensor: torch.Tensor, device: torch.device) -> dict[str, Any]:
    """The address at which ONNX Runtime reads or writes the numbers of a contiguous tensor."""
    element = np.float32 if tensor.dtype == torch.float32 else np.int64
    where = {"device_type": device.type, "device_id": device.index or 0}
    return where | {"element_type": element, "shape": tuple(tensor.shape), "buffer_ptr": tensor.data_ptr()}


def openvino_model(path: Path) -> Model:
    """A model in OpenVINO, computed in fp32 on a CPU."""
    import openvino

    hints = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(str(path), "CPU", hints).create_infer_request()

    def call(input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Logits:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        found = request.infer({"input_ids": input_ids.numpy(), "attention_mask": mask.numpy()})
        return Logits(torch.from_numpy(found["outputs"].copy()))

    return call
