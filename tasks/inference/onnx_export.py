"""Exports a model to ONNX. Run as a child: `python -m nerbench.tasks.inference.onnx_export < job.json`.

A separate process frees the memory of the exporter and its compiler, and keeps their output out of nerbench's.
"""

from pathlib import Path
from typing import Any

import torch

from nerbench.tasks.child_process import Emit, Job, serve
from nerbench.tasks.inference.loading import load_tagger, one_line

LARGEST = 1 << 20
FUSED = frozenset({"bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta"})
"""Architectures whose attention, GELU and layer norm ONNX Runtime's optimizer for BERT fuses."""


def export_onnx(model: Any, path: Path, positions: int) -> None:
    """Write a model in fp32, with variable numbers of sentences and tokens (at most `positions`).

    The inputs are `input_ids` and `attention_mask`, (sentences, tokens) int64. `outputs` is the model's first output.
    """
    ids = torch.arange(32).reshape(2, 16) % model.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, 12:] = 0
    free = {0: torch.export.Dim("sentences", max=LARGEST), 1: torch.export.Dim("tokens", max=positions)}
    program = torch.onnx.export(
        _FirstOutput(model),
        (ids, mask),
        dynamo=True,
        dynamic_shapes=(free, free),
        input_names=["input_ids", "attention_mask"],
        output_names=["outputs"],
        verbose=False,
    )
    assert program is not None
    program.save(str(path))


class _FirstOutput(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask)[0]
        return outputs


def export(job: Job, emit: Emit) -> Job:
    """Write the token classifier in `folder` to the file `onnx`, as its `backend` computes it fastest.

    Raises InputError if the model cannot be exported.
    """
    tagger = load_tagger(Path(job["folder"]), device=torch.device("cpu"), window=job["window"], name=job["name"])
    path, config = Path(job["onnx"]), tagger.model.config
    with one_line(f"model {job['name']}", "use benchmark.backend: torch"):
        if job["backend"] == "onnxruntime" and config.model_type in FUSED:
            tagger.model.set_attn_implementation("eager")  # whose operations the optimizer knows
        export_onnx(tagger.model, path, tagger.window)
        if job["backend"] == "onnxruntime" and config.model_type in FUSED:
            _fuse(path, config)
        if job["precision"] == "int8":
            _quantize(path)
    return {}


def _fuse(path: Path, config: Any) -> None:
    from onnxruntime.transformers.optimizer import optimize_model

    sizes = {"num_heads": config.num_attention_heads, "hidden_size": config.hidden_size}
    optimize_model(str(path), model_type="bert", **sizes).save_model_to_file(str(path))


def _quantize(path: Path) -> None:
    """Quantize weights per output channel, and activations dynamically.

    With 7 bits, weights do not overflow on processors without VNNI instructions.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(path), str(path), per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    serve(export)
