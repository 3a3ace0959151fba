"""Latency, load time and memory of one model. Run as a child: `python -m tasks.measuring.measure < job.json`.

A fresh process for each model, so that neither memory nor warm caches of another one are counted. Never cached.
"""

import gc
import os
import re
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tasks.child import Emit, Job, serve
from tasks.inference.loading import Tagger, load_tagger, resolve_device
from tasks.inference.prediction import predict_block

WARM_UP = 20
"""Sentences before the clock counts."""


def measure(job: Job, emit: Emit) -> Job:
    """Load the model in `folder`, then time the sentences one by one, in the order given, tokenization included."""
    sentences: list[list[str]] = job["sentences"]
    device = resolve_device(job["device"])
    gc.collect()
    _reset_peak()
    baseline = _status_bytes("VmRSS")
    started = time.perf_counter()
    tagger = load_tagger(Path(job["folder"]), device=device, precision=job["precision"], window=job["window"])
    load_s = time.perf_counter() - started
    first_call = _call(tagger, sentences[0])
    for sentence in sentences[:WARM_UP]:
        _call(tagger, sentence)
    calls = [_call(tagger, sentence) for sentence in sentences]
    parameters = list(tagger.model.parameters())
    return {
        "speed": _speed(calls) | {"threads": torch.get_num_threads()},
        "memory": {
            "parameters": sum(p.numel() for p in parameters),
            "weights_bytes": sum(p.numel() * p.element_size() for p in parameters),
            "load_s": load_s,
            "first_call_s": first_call.seconds,
            "baseline_rss_bytes": baseline,
            "peak_rss_bytes": _status_bytes("VmHWM"),
            "peak_device_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        },
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


class Call(NamedTuple):
    """One sentence, from words to tags."""

    seconds: float
    words: int
    pieces: int


def _call(tagger: Tagger, sentence: list[str]) -> Call:
    # predict_block brings the tags to the host, which waits for the device
    started = time.perf_counter()
    predicted = predict_block(tagger, [sentence])
    return Call(time.perf_counter() - started, len(sentence), predicted.pieces)


def _speed(calls: list[Call]) -> Job:
    samples = [call.seconds for call in calls]
    total = sum(samples)
    p50, p90, p95, p99 = np.percentile(samples, [50, 90, 95, 99]).tolist()
    return {
        "n": len(samples),
        "mean_s": total / len(samples),
        "std_s": float(np.std(samples, ddof=1)) if len(samples) > 1 else None,
        "p50_s": p50,
        "p90_s": p90,
        "p95_s": p95,
        "p99_s": p99,
        "sentences_per_s": len(samples) / total,
        "words_per_s": sum(call.words for call in calls) / total,
        "tokens_per_s": sum(call.pieces for call in calls) / total,
        "samples_s": samples,
    }


def _reset_peak() -> None:
    """Make VmHWM count from now on (Linux; elsewhere the peak includes start-up)."""
    path = Path("/proc/self/clear_refs")
    if path.exists() and os.access(path, os.W_OK):
        path.write_text("5")


def _status_bytes(field: str) -> int | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", status.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


if __name__ == "__main__":
    serve(measure)
