"""Latency, throughput, load time and memory at the boundary of a process: of taggers, and of models beside them.

The same sentences go through the same pipe, so that the numbers of all of them compare.
"""

import os
import platform
import time
from collections.abc import Sequence
from typing import Any

from nerbench.artifacts.manifest import ArtifactRef
from nerbench.artifacts.references import load_manifest, materialise
from nerbench.tasks.config import BenchmarkConfig, TaggerConfig
from nerbench.tasks.config.schema_taggers import ENDPOINTS, STORED_MODEL
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.inference.loading import resolve_device
from nerbench.tasks.inference.tagger_evaluation import started_tagger
from nerbench.tasks.inference.tagger_process import RunningTagger, running_tagger
from nerbench.tasks.measuring.samples import Amount, summarise
from nerbench.tasks.measuring.tables import first_sentences, sizes

Row = dict[str, Any]
BACKEND = "process"
"""The backend of measurements at the boundary of a process."""
WARM_UP = 10
"""Sentences that are tagged before the clock starts."""
PASSES = 3
"""How often all sentences are tagged in one request, for the throughput."""
SENTENCES_OF_ENDPOINT = 20
"""Calls of an endpoint cost money, so that it gets so many sentences, once one by one and once together."""


def measure_tagger(
    artifact: ArtifactRef, config: TaggerConfig | None, corpus: Corpus, benchmark: BenchmarkConfig
) -> dict[str, list[Row]]:
    """The rows by table of a tagger. Raises like `started_tagger`."""
    started = time.perf_counter()
    with started_tagger(artifact, config) as tagger:
        return _rows(artifact, tagger, time.perf_counter() - started, config, corpus, benchmark)


def measure_model(artifact: ArtifactRef, corpus: Corpus, benchmark: BenchmarkConfig) -> dict[str, list[Row]]:
    """The rows by table of a stored model in such a process."""
    options = {"folder": str(materialise(artifact)), "device": benchmark.device, "dtype": benchmark.dtype}
    adapter = TaggerConfig(
        name=artifact.name, tagger=STORED_MODEL, options=options | {"max_length": benchmark.max_length}
    )
    started = time.perf_counter()
    with running_tagger(adapter) as tagger:
        return _rows(artifact, tagger, time.perf_counter() - started, adapter, corpus, benchmark)


def _rows(  # noqa: PLR0913, PLR0917 - what is measured
    artifact: ArtifactRef,
    tagger: RunningTagger,
    load_s: float,
    config: TaggerConfig | None,
    corpus: Corpus,
    benchmark: BenchmarkConfig,
) -> dict[str, list[Row]]:
    is_endpoint = config is not None and config.adapter in ENDPOINTS
    sentences = first_sentences(corpus)[: SENTENCES_OF_ENDPOINT if is_endpoint else None]
    first, warm_up = sentences[:1], sentences[: 0 if is_endpoint else WARM_UP]
    first_call_s, _ = _seconds(tagger, first), _seconds(tagger, warm_up)
    alone = [_seconds(tagger, [words]) for words in sentences]
    together = [_seconds(tagger, sentences) for _ in range(1 if is_endpoint else PASSES)]
    known = {
        "artifact_id": artifact.artifact_id,
        "model": artifact.name,
        "device": "network" if is_endpoint else resolve_device(benchmark.device).type,
        "dtype": benchmark.dtype,
        "backend": BACKEND,
        "head": "token",
        "workload": "inference",
        "sequence_length": None,
        "status": "ok",
    }
    words = sum(map(len, [*first, *warm_up, *sentences * (1 + len(together))]))
    of_host = {"host": platform.node(), "processes": 1, "threads": os.cpu_count(), "dataset": corpus.name}
    shared = known | of_host | _price(tagger, config, words)
    amounts = [Amount(1, len(one), 0) for one in sentences]
    whole = [Amount(len(sentences), sum(map(len, sentences)), 0)] * len(together)
    manifest = load_manifest(artifact)
    memory = {
        "load_s": load_s,
        "first_call_s": first_call_s,
        "baseline_rss_bytes": tagger.ready.baseline_rss_bytes,
        "peak_rss_bytes": tagger.peak_rss_bytes(),
    }
    of_disk = sizes(manifest if manifest.files else None)
    return {
        "speed": [
            shared | {"batch_size": 1} | summarise([alone], [amounts]) | {"tokens_per_s": None},
            shared | {"batch_size": len(sentences)} | summarise([together], [whole]) | {"tokens_per_s": None},
        ],
        "memory": [known | {"batch_size": 1} | of_disk | memory],
    }


def _seconds(tagger: RunningTagger, sentences: Sequence[Sequence[str]]) -> float:
    started = time.perf_counter()
    for _ in tagger.predict(sentences):
        pass
    return time.perf_counter() - started


def _price(tagger: RunningTagger, config: TaggerConfig | None, words: int) -> Row:
    """The price of an endpoint, by the calls that it counted for so many words."""
    if config is None or config.price_per_call is None:
        return {}
    calls = tagger.counts.get("calls", 0)
    cost = 1e6 * config.price_per_call * calls / words if calls else None
    return {"price_per_call": config.price_per_call, "cost_per_million_words": cost}
