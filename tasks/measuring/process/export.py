"""Exports a model to ONNX. Run as a child: `python -m nerbench.tasks.measuring.process.export < job.json`.

It has its own process, so that the exporter's memory does not count as that of ONNX Runtime.
"""

from typing import Any

import torch

from nerbench.tasks.child_process import Emit, Job, serve
from nerbench.tasks.measuring.process.backends import load_eager

LARGEST = 1 << 20


def export(job: Job, emit: Emit) -> Job:
    """Write the model of a job to the file `onnx`, with variable numbers of sentences and tokens."""
    loaded = load_eager(job, torch.device("cpu"), "fp32")
    ids = torch.arange(32).reshape(2, 16) % loaded.config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, 12:] = 0
    free = {0: torch.export.Dim("sentences", max=LARGEST), 1: torch.export.Dim("pieces", max=job["positions"])}
    program = torch.onnx.export(
        _FirstOutput(loaded.model),
        (ids, mask),
        dynamo=True,
        dynamic_shapes=(free, free),
        input_names=["input_ids", "attention_mask"],
        output_names=["outputs"],
        verbose=False,
    )
    assert program is not None
    program.save(job["onnx"])
    return {}


class _FirstOutput(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask)[0]
        return outputs


if __name__ == "__main__":
    serve(export)
