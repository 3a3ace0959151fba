"""Where an evaluation's time goes, by kind of operation.

    python tests/benchmarks/evaluation_profile.py --model FOLDER [--precisions bf16,int8] [--sentences N] [--words FILE]

FOLDER holds a token classifier, or an encoder, which gets a random head. The shares are those of torch's profiler over
the first sentences; `outside torch` is tokenization, batches and Python. OMP_NUM_THREADS sets the
threads. The profiler reads the wall clock: only an idle machine gives exact shares.
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from evaluation_speed import CORPUS, model_folder
from torch.profiler import ProfilerActivity, profile

from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.prediction import BLOCK, predict_block

KINDS = {
    "linear layers": ("mkldnn::_linear_pointwise", "onednn::qlinear_pointwise", "aten::addmm"),
    "attention": ("aten::bmm", "aten::_softmax", "aten::_scaled_dot_product", "aten::mul"),
    "layer norm": ("aten::native_layer_norm",),
    "GELU": ("aten::gelu",),
    "quantization": (
        *("aten::amax", "aten::amin", "aten::maximum", "aten::neg_", "aten::div", "aten::clamp_min_", "aten::round_"),
        *("aten::bitwise_xor_", "aten::addcmul"),
    ),
    "residuals": ("aten::add",),
    "embeddings": ("aten::index_select", "aten::embedding"),
    "copies and padding": ("aten::copy_", "aten::fill_", "aten::cat", "aten::constant_pad_nd", "aten::empty"),
}
"""Kinds by the first part of the operations' names; the first kind that fits counts."""


def shares(folder: Path, precision: str, sentences: list[list[str]]) -> tuple[float, Counter[str]]:
    """CPU seconds without the profiler, and the profiled seconds by kind."""
    tagger = optimize_for_inference(load_tagger(folder, device=torch.device("cpu"), precision=precision))
    predict_block(tagger, sentences)
    before = time.process_time()
    predict_block(tagger, sentences)
    plain = time.process_time() - before
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        started = time.perf_counter()
        predict_block(tagger, sentences)
        whole = time.perf_counter() - started
    found = Counter[str]()
    for operation in profiled.key_averages():
        found[_kind(operation.key)] += operation.self_cpu_time_total / 1e6
    found["outside torch"] = whole - found.total()
    return plain, found


def _kind(operation: str) -> str:
    return next((kind for kind, starts in KINDS.items() if operation.startswith(starts)), "other operations")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--words", default=CORPUS)
    parser.add_argument("--sentences", type=int, default=BLOCK, help="the first so many, at most 2,048")
    parser.add_argument("--precisions", default="fp32,bf16,int8")
    arguments = parser.parse_args()
    corpus = load_splits(DatasetConfig(name="words", files={"test": arguments.words}))["test"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = model_folder(arguments.model, Path(scratch))
        for precision in arguments.precisions.split(","):
            plain, found = shares(folder, precision, list(corpus.words[: min(arguments.sentences, BLOCK)]))
            print(f"{precision}: {plain:.2f} CPU s", flush=True)
            for kind, seconds in found.most_common():
                print(f"  {kind:20}{seconds / found.total():7.1%}")


if __name__ == "__main__":
    main()
