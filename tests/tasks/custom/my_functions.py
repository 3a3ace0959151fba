"""Benchmark functions of a user's own, as `docs/scores.md` shows them."""

import time

import torch

import nerbench


@nerbench.benchmark_function(tags=["size"], unit="bytes")
def size(artifact_path):
    """Of the model's files: a function that takes `artifact_path`, `model` or `tokenizer` is called for each model."""
    return sum(file.stat().st_size for file in artifact_path.iterdir())


@nerbench.product(batch=[1, 8], words=[8, 32], tags=["speed"], unit="s")
def forward(model, tokenizer, batch, words):
    """For each model, four times; `nerbench.parametrize([{"batch": 1, "words": 8}, …])` names the calls one by one."""
    pieces = tokenizer([" ".join(["Oslo"] * words)] * batch, return_tensors="pt").to(model.device)
    started = time.perf_counter()
    with torch.inference_mode():
        float(model(**pieces).logits.sum())  # which waits for a GPU
    return time.perf_counter() - started


@nerbench.benchmark_function
def sure_and_wrong(corpus, predictions):
    """For each model and each annotation of each data set; two rows, `sure_and_wrong.n` and `sure_and_wrong.share`."""
    table = predictions.to_pandas()
    wrong = (table.pred_tag.astype(str) != table.gold_tag.astype(str)) & (table.score > 0.9)
    return {"n": wrong.sum(), "share": wrong.sum() / corpus.n_words}


@nerbench.benchmark_function
def answer():
    """Once a run, without a model."""
    return 42
