"""Custom benchmark functions, as in `docs/explanation/scores.md`."""

import time

import torch

import nerbench


@nerbench.benchmark_function(tags=["size"], unit="bytes")
def size(artifact_path):
    """Size of the model's files. A function that takes `artifact_path`, `model` or `tokenizer` runs for each model."""
    return sum(file.stat().st_size for file in artifact_path.iterdir())


@nerbench.product(batch=[1, 8], words=[8, 32], tags=["speed"], unit="s")
def forward(model, tokenizer, batch, words):
    """Runs four times per model. To list calls instead, use `nerbench.parametrize([{"batch": 1, "words": 8}, …])`."""
    tokens = tokenizer([" ".join(["Oslo"] * words)] * batch, return_tensors="pt").to(model.device)
    started = time.perf_counter()
    with torch.inference_mode():
        float(model(**tokens).logits.sum())  # float() waits for a GPU
    return time.perf_counter() - started


@nerbench.benchmark_function
def confident_errors(corpus, predictions):
    """Runs for each model and annotation; gives the rows `confident_errors.n` and `confident_errors.share`."""
    table = predictions.to_pandas()
    wrong = (table.pred_tag.astype(str) != table.gold_tag.astype(str)) & (table.score > 0.9)
    return {"n": wrong.sum(), "share": wrong.sum() / corpus.n_words}


@nerbench.benchmark_function
def answer():
    """Runs once per run, without a model."""
    return 42
