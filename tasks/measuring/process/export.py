"""Exports a model to ONNX. Run as a child: `python -m nerbench.tasks.measuring.process.export < job.json`.

It has its own process, so that the exporter's memory does not count as that of ONNX Runtime.
"""

from pathlib import Path

import torch

from nerbench.tasks.child_process import Emit, Job, serve
from nerbench.tasks.inference.onnx_export import export_onnx
from nerbench.tasks.measuring.process.backends import load_eager


def export(job: Job, emit: Emit) -> Job:
    """Write the model of a job to the file `onnx`, with variable numbers of sentences and tokens."""
    export_onnx(load_eager(job, torch.device("cpu"), "fp32").model, Path(job["onnx"]), job["positions"])
    return {}


if __name__ == "__main__":
    serve(export)
