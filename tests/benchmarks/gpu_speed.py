"""Measures the utilization of a GPU: forward passes, and from words to tags, against pipeline() in fp16.

`python tests/benchmarks/gpu_speed.py [--times 100] [--precision bf16] [--peak-tflops X] [--json]` makes a BERT and a
DistilBERT of their base sizes with random weights and tags so many times CoNLLpp's test split in size of made-up, all
different sentences. It needs a CUDA device.

- *tokenize*: words to windows on the CPU; *forward*: the windows' forward passes, waited for at the end
- *end to end*: words in memory to tags in memory; best is the larger of the two before
- *peak memory*: what torch allocated on the device at most, end to end, the weights included
- *MFU*: FLOPs of the tokens without padding, over the forward time, over the peak: the given one (of a data sheet),
  else the rate of a large product measured here
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from arithmetic_floor import work_of
from corpus_memory import SENTENCES, sentences

from nerbench.tasks.inference import prediction
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import dtype_of, load_tagger
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.packed_attention import logits_of
from nerbench.tasks.inference.tokenization import Window, tokenize, windows

LABELS = ("O", "B-PER", "B-ORG", "B-LOC")
BASES = {"bert-base": "Bert", "distilbert-base": "DistilBert"}
PIPELINE_SHARE = 20
"""pipeline() gets every twentieth sentence; its time is scaled up."""


def save_random(folder: Path, family: str, **changes: Any) -> Path:
    """A random token classifier of a family's default size, with changes, and a tokenizer for the made-up words."""
    import transformers

    from nerbench.tasks.training.setup import train_tokenizer

    tokenizer = train_tokenizer(sentences(2_000), 3_000, 512)
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {label: i for i, label in enumerate(LABELS)}}
    config = getattr(transformers, f"{family}Config")(**{"vocab_size": 30_522, **names, **changes})
    torch.manual_seed(0)
    transformers.AutoModelForTokenClassification.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def synchronize() -> None:
    """Wait for the device, if there is one: a test runs this file without a device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(run: Callable[[], object]) -> float:
    """The duration of a call, until the device has finished."""
    synchronize()
    started = time.perf_counter()
    run()
    synchronize()
    return time.perf_counter() - started


def measured_peak(precision: str) -> float:
    """FLOP/s of a product of two large square matrices: the best of ten."""
    size, dtype = 8192, dtype_of(precision, torch.device("cuda"))
    a, b = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: a @ b) for _ in range(10))


def forward_all(tagger: LoadedModel, cut: Sequence[Window]) -> None:
    """The batches of all windows, as the benchmark forms them in each block."""
    budget = prediction.BATCH_PIECES[tagger.device.type]
    for start in range(0, len(cut), prediction.BLOCK):
        block = sorted(cut[start : start + prediction.BLOCK], key=lambda window: len(window.ids))
        for batch in prediction.batches([len(window.ids) for window in block], budget, tagger.batching):
            logits_of(tagger, [window.ids for window in block[batch.start : batch.stop]])


def measure(
    folder: Path, words: list[list[str]], precision: str, peak: float, *, device: str = "cuda"
) -> dict[str, Any]:
    """One model's figures."""
    tagger = optimize_for_inference(load_tagger(folder, device=torch.device(device), precision=precision))
    list(prediction.predict(tagger, words[: prediction.BLOCK]))
    cut: list[Window] = []

    def cut_all() -> None:
        rest = iter(words)
        while block := list(islice(rest, prediction.BLOCK)):
            cut.extend(windows(tokenize(tagger.tokenizer.backend, block), tagger.window, tagger.tokenizer.special))

    tokenize_s = seconds(cut_all)
    lengths = [len(window.ids) for window in cut]
    forward_s = min(seconds(lambda: forward_all(tagger, cut)) for _ in range(3))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    whole_s = min(seconds(lambda: list(prediction.predict(tagger, words))) for _ in range(3))
    peak_bytes = torch.cuda.max_memory_allocated() if device == "cuda" else None
    pipeline_s = pipeline_seconds(folder, words[::PIPELINE_SHARE], device) * PIPELINE_SHARE
    return {
        "batching": tagger.batching,
        "sentences": len(words),
        "pieces": sum(lengths),
        "tokenize_s": tokenize_s,
        "forward_s": forward_s,
        "end_to_end_s": whole_s,
        "over_larger": whole_s / max(tokenize_s, forward_s),
        "mfu": work_of(tagger.model, lengths).total / forward_s / peak,
        "sentences_per_s": len(words) / whole_s,
        "pieces_per_s": sum(lengths) / whole_s,
        "peak_device_bytes": peak_bytes,
        "pipeline_s": pipeline_s,
        "times_pipeline": pipeline_s / whole_s,
    }


def pipeline_seconds(folder: Path, words: list[list[str]], device: str) -> float:
    """transformers' pipeline in fp16 (on a CPU, fp32), 64 texts a batch."""
    from transformers import pipeline

    dtype = torch.float16 if device == "cuda" else torch.float32
    tag = pipeline("token-classification", model=str(folder), device=device, batch_size=64, dtype=dtype)
    texts = [" ".join(of_one) for of_one in words]
    tag(texts[:64], ignore_labels=[])
    return seconds(lambda: tag(texts, ignore_labels=[]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--precision", choices=["bf16", "fp16", "fp32"], default="bf16")
    parser.add_argument("--peak-tflops", type=float)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        parser.exit(1, "no CUDA device\n")
    words = list(sentences(arguments.times * SENTENCES))
    peak = arguments.peak_tflops * 1e12 if arguments.peak_tflops else measured_peak(arguments.precision)
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "peak_tflops": peak / 1e12}
    for name, family in BASES.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = save_random(Path(scratch), family)
            found[name] = measure(folder, words, arguments.precision, peak)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{found['device']}, {arguments.precision}, peak {found['peak_tflops']:.0f} TFLOP/s")
    for name in BASES:
        print(
            name,
            ", ".join(
                f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                for key, value in found[name].items()
            ),
        )


if __name__ == "__main__":
    main()
