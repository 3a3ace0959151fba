"""Rows of `speed` and `memory`: of a sweep, and the columns that the latency sample shares."""

import platform
from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from nerbench.artifacts.manifest import Manifest
from nerbench.artifacts.references import load_manifest
from nerbench.tasks.config import Config
from nerbench.tasks.data.corpus import Corpus
from nerbench.tasks.data.corpus_refs import describe, open_corpus
from nerbench.tasks.inference.loading import resolve_device
from nerbench.tasks.measuring.interrupted_sweeps import opened_journal
from nerbench.tasks.measuring.latency_statistics import summarise
from nerbench.tasks.measuring.plan import REFERENCE, Group, plan, tags_words
from nerbench.tasks.measuring.subjects import Subject
from nerbench.tasks.measuring.sweep import Measured, sweep
from nerbench.tasks.results.rows import write_measured
from nerbench.tasks.run_identity import Run

Row = dict[str, Any]
SENTENCES = 200
"""Number of sentences for the latency sample and for real lengths: the first ones of the corpus, in order."""
OF_HOST = ("sgemm_flops_per_s", "copy_bytes_per_s", "threads")
"""Facts about the machine from every timing process; the tables have the median."""
SAMPLES = ("samples_s", "samples_process")


class SweepPlan(NamedTuple):
    """What a sweep measures."""

    groups: list[Group]
    corpus: Corpus | None
    """The sentences for real lengths: those of the first data set; None if no model can tag them."""


class Swept(NamedTuple):
    """The results of a sweep."""

    tables: dict[str, list[str]]
    """Locations by table."""
    speed: list[Row]
    """Without the single samples."""
    memory: list[Row]


def sweep_and_write(run: Run, config: Config, subjects: Sequence[Subject]) -> Swept:
    """Measure every cell of a sweep and write the rows of a model as soon as it is complete.

    Measurements of an interrupted sweep are reused. Raises InputError like `plan_of`.
    """
    device = resolve_device(config.benchmark.device)
    groups, corpus = plan_of(config, subjects)
    dataset = corpus.name if corpus else None
    sentences = first_sentences(corpus) if corpus else []
    swept = Swept({"speed": [], "memory": []}, [], [])
    keys: list[str] = []
    with opened_journal() as journal:
        for cells in sweep(groups, config.speed, config.benchmark, sentences, journal):
            subject = cells[0].group.subject
            manifest = load_manifest(subject.artifact) if subject.artifact else None
            rows = {
                "speed": [speed_row(one, device.type, dataset) for one in cells],
                "memory": [memory_row(one, device.type, manifest) for one in cells],
            }
            for table, uri in write_measured(run, subject.artifact_id, rows, "sweep").items():
                swept.tables[table].append(uri)
            keys += [one.key for one in cells if one.key]
            swept.speed.extend({k: v for k, v in row.items() if k not in SAMPLES} for row in rows["speed"])
            swept.memory.extend(rows["memory"])
        journal.forget(keys)  # not earlier: the rows of a repeated sweep must be those of all its models
    return swept


def plan_of(config: Config, subjects: Sequence[Subject]) -> SweepPlan:
    """The plan of a sweep. Raises InputError if a device or length is impossible, and CorpusError for its corpus."""
    device = resolve_device(config.benchmark.device)
    corpus = None
    if config.datasets and any(tags_words(subject, config.speed) for subject in subjects):
        corpus = open_corpus(describe(config, config.datasets[0])[0])
    return SweepPlan(plan(subjects, config.speed, device=device.type, corpus=corpus is not None), corpus)


def speed_row(measured: Measured, device: str, dataset: str | None) -> Row:
    """The row of `speed` for a cell, with or without numbers."""
    group = measured.group
    known = _known(measured, device) | {"host": platform.node(), "processes": 1, "status": measured.status}
    known["taken_over"] = len(measured.kept) or None
    known["dataset"] = dataset if measured.cell.sequence_length is None else None
    for name in OF_HOST:
        known[name] = median(host[name] for host in measured.hosts) if measured.hosts else None
    if known["threads"] is not None:
        known["threads"] = int(known["threads"])
    if measured.status != "ok":
        return known
    is_reference = (group.backend, group.precision, group.workload, group.head) == (*REFERENCE, "inference", "token")
    foreign = sum(measured.foreign) / len(measured.foreign) if measured.foreign else None
    return (
        known
        | {"agreement": 1.0 if is_reference else measured.agreement, "background_cores": foreign}
        | summarise(measured.samples, measured.amounts)
    )


def memory_row(measured: Measured, device: str, manifest: Manifest | None) -> Row:
    """The row of `memory` for a cell, with or without numbers."""
    return _known(measured, device) | {"status": measured.status} | sizes(manifest) | measured.memory


def sizes(manifest: Manifest | None) -> Row:
    """The size of a model on disk; empty for a configuration without weights."""
    if manifest is None:
        return {"weights_bytes": None, "artifact_bytes": None}
    weights = sum(entry.size for entry in manifest.files if entry.path.endswith(".safetensors"))
    return {"weights_bytes": weights, "artifact_bytes": manifest.total_bytes}


def _known(measured: Measured, device: str) -> Row:
    group, cell = measured.group, measured.cell
    return {
        "artifact_id": group.subject.artifact_id,
        "model": group.subject.name,
        "device": measured.hosts[0]["device"] if measured.hosts else device,
        "dtype": group.precision,
        "backend": group.backend,
        "head": group.head,
        "workload": group.workload,
        "batch_size": cell.batch_size,
        "sequence_length": cell.sequence_length,
        "single_process": measured.single_process or None,
    }


def first_sentences(corpus: Corpus) -> list[list[str]]:
    """The sentences that represent a corpus, in order."""
    return list(corpus.words[:SENTENCES])
