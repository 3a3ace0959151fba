"""Latency, load time and memory of one model. Run as a child of its own: `python -m tasks.measure < job.json`.

A fresh process for each model, so that neither memory nor warm caches of another one are counted. Never cached.
"""

import gc
import os
import re
import time
from pathlib import Path

import numpy as np
import torch

from tasks.child import Emit, Job, serve
from tasks.inference import predict_block
from tasks.modeling import Tagger, load_tagger, resolve_device

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
    first_call_s = _seconds(tagger, sentences[0])
    for sentence in sentences[:WARM_UP]:
        _seconds(tagger, sentence)
    samples = [_seconds(tagger, sentence) for sentence in sentences]
    return {
        "speed": _speed(tagger, sentences, samples) | {"threads": torch.get_num_threads()},
        "memory": {
            "parameters": sum(p.numel() for p in tagger.model.parameters()),
            "load_s": load_s,
            "first_call_s": first_call_s,
            "baseline_rss_bytes": baseline,
            "peak_rss_bytes": _status_bytes("VmHWM"),
            "peak_device_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
        },
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def _seconds(tagger: Tagger, sentence: list[str]) -> float:
    # predict_block brings the tags to the host, which waits for the device
    started = time.perf_counter()
    predict_block(tagger, [sentence])
    return time.perf_counter() - started


def _speed(tagger: Tagger, sentences: list[list[str]], samples: list[float]) -> Job:
    total = sum(samples)
    pieces = sum(predict_block(tagger, [sentence]).pieces for sentence in sentences)
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
        "words_per_s": sum(map(len, sentences)) / total,
        "tokens_per_s": pieces / total,
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
