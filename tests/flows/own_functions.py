"""Custom benchmark functions, which the flow tests configure."""

import nerbench


@nerbench.benchmark_function(tags=["functions"], unit="pieces")
def vocabulary(tokenizer):
    return len(tokenizer)


@nerbench.product(repeats=[1, 2], unit="s", tags=["functions"])
def forward(model, tokenizer, repeats):
    import time

    pieces = tokenizer(["Anna"] * repeats, return_tensors="pt", padding=True)
    started = time.perf_counter()
    assert model(**pieces).logits.shape[0] == repeats
    return time.perf_counter() - started


@nerbench.benchmark_function(unit="bytes", tags=["size"])
def size(artifact_path):
    return sum(file.stat().st_size for file in artifact_path.iterdir())


@nerbench.benchmark_function(tags=["functions"])
def agreement(corpus, predictions):
    assert predictions.table.num_rows == corpus.n_words
    return sum(one.type == "PER" for one in predictions.predicted)


@nerbench.benchmark_function(tags=["functions"])
def sentences(corpus):
    return len(corpus.words)


@nerbench.benchmark_function(tags=["alone"])
def answer():
    return 42


@nerbench.benchmark_function(tags=["bad"])
def broken(model):
    return 1 / 0
