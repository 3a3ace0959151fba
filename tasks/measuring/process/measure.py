"""Latency, load time and memory of one model.

Run as a child: `python -m nerbench.tasks.measuring.process.measure < job.json`. Each model has a new process, so that
neither the memory nor warm caches of another one count. Results are never cached.
"""

import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from nerbench.tasks.child_process import Emit, Job, serve
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import load_tagger, resolve_device
from nerbench.tasks.inference.prediction import predict_block
from nerbench.tasks.measuring.latency_statistics import fewest_samples, summarise
from nerbench.tasks.measuring.process.backends import config_of, import_code
from nerbench.tasks.measuring.process.child import WARM_UP_CALLS, name_of
from nerbench.tasks.measuring.process.clock import Limits, calibrate, host_seconds, sample, warm_up
from nerbench.tasks.measuring.process.machine_state import (
    device_peaks,
    foreign_cores,
    moment,
    peak_bytes,
    resident_bytes,
    settle,
    weights_bytes,
)
from nerbench.tasks.measuring.process.work import real_chunks


def measure(job: Job, emit: Emit) -> Job:
    """Load the model in `folder`, then time the sentences one by one, in the given order, including tokenization.

    The number of passes over all sentences is the configured one, or that needed for a 90th percentile. Memory is the
    peak of the calls, including weights.
    """
    device = resolve_device(job["device"])
    import_code(config_of(job))
    settle()
    baseline = resident_bytes()
    started = time.perf_counter()
    tagger = load_tagger(Path(job["folder"]), device=device, precision=job["precision"], window=job["window"])
    load_s = time.perf_counter() - started
    settle()
    first_call_s = host_seconds(partial(predict_block, tagger, job["sentences"][:1]))
    latency = _latency(tagger, job["sentences"], job["passes"])
    peaks = {"peak_rss_bytes": peak_bytes(), **device_peaks(device)}
    return {
        "speed": latency | calibrate(device) | {"threads": torch.get_num_threads()},
        "memory": {
            "parameters": sum(p.numel() for p in tagger.model.parameters()),
            "loaded_weights_bytes": weights_bytes(tagger.model),
            "load_s": load_s,
            "first_call_s": first_call_s,
            "baseline_rss_bytes": baseline,
            **peaks,
        },
        "device": name_of(device),
    }


def _latency(tagger: LoadedModel, sentences: list[list[str]], passes: int) -> Job:
    chunks, amounts = real_chunks(tagger, sentences, 1)
    calls = [partial(predict_block, tagger, chunk) for chunk in chunks]
    warm_up(calls[:WARM_UP_CALLS], host_seconds)
    before = moment()
    enough = Limits(iterations=max(fewest_samples(90), passes * len(calls)), minimum_s=0.0)
    samples = sample(calls, host_seconds, enough)
    foreign = foreign_cores(before, moment())
    rounds = len(samples) // len(calls)
    least = np.reshape(samples, (rounds, len(calls))).min(axis=0)
    fastest = float(np.median(least)) if passes > 1 else None
    return summarise([samples], [amounts * rounds]) | {"background_cores": foreign, "min_latency_s": fastest}


if __name__ == "__main__":
    serve(measure)
