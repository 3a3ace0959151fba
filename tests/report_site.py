"""Results of a few runs for reports, scored from generated predictions."""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from nerbench.artifacts.digests import canonical_json, sha256_hex
from nerbench.artifacts.tables.schemas import TABLES
from nerbench.artifacts.tables.tables import date_of, table_key, write_table
from nerbench.tasks.analysis.analysis import write_analysis
from nerbench.tasks.analysis.calibration import calibration
from nerbench.tasks.analysis.user_scores import score_stored
from nerbench.tasks.comparison.quality_gate import decide, measure_stored
from nerbench.tasks.config import Config, GateConfig
from nerbench.tasks.inference.prediction_files import PredictionsDigest
from nerbench.tasks.results.rows import metric_rows, write_custom, write_gate, write_metrics
from nerbench.tasks.run_identity import Run
from nerbench.tasks.scoring.stored_predictions import Predicted, predictions_key, read_predictions

EVIL = ("<script>alert(1)</script>", "</script><img/src=x/onerror=alert(1)>", "&lt;b&gt;", "{{7*7}}", "a'b\"c`d")
"""Words that a careless page would run or change."""
EVIL_TYPE = "</script><b>T"
TYPES = ("LOC", "ORG", "PER")
DOCUMENTS = 24
SENTENCES = 5
"""The number of sentences in each document."""
REPAIRED = 2
"""The number of tags of the second annotation that are marked as repaired."""


def digest(*parts: Any) -> str:
    return sha256_hex(canonical_json(parts))


def corpus(seed: int = 0, documents: int = DOCUMENTS) -> tuple[list[list[str]], list[list[str]]]:
    """Words and gold tags: names between other words, some of them hostile."""
    rng = random.Random(seed)
    words, tags = [], []
    for number in range(documents * SENTENCES):
        kind = EVIL_TYPE if number % 23 == 5 else rng.choice(TYPES)
        name = [f"Name{rng.randint(0, 40)}" for _ in range(rng.randint(1, 2))]
        evil = [EVIL[number % len(EVIL)]] if number % 7 == 0 else []
        words.append(["Then", *evil, *name, "left", *(["Oslo"] if number % 2 else []), "."])
        inner = [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)]
        tags.append(["O", *["O" for _ in evil], *inner, "O", *(["B-LOC"] if number % 2 else []), "O"])
    return words, tags


def noisy(tags: Sequence[Sequence[str]], share: float, seed: int = 1) -> list[list[str]]:
    """Tags in which a share of the sentences lost its first entity, or has another type for it."""
    rng = random.Random(seed)
    found = []
    for sentence in tags:
        changed = list(sentence)
        first = next((at for at, tag in enumerate(sentence) if tag != "O"), None)
        if first is not None and rng.random() < share:
            changed[first] = "O" if rng.random() < 0.5 else "B-LOC"
        found.append(changed)
    return found


def run_of(results: str, night: int) -> Run:
    """The run `night-3` of 2030-01-03."""
    moment = datetime(2030, 1, night, 2, tzinfo=UTC)
    return Run(
        run_id=f"night-{night}",
        flow="benchmark",
        date=f"2030-01-{night:02}",
        started_at=moment,
        attempt=1,
        results=results,
    )


def configuration(results: str, **sections: Any) -> Config:
    places = {"store": f"{results}-store", "results": results}
    datasets = [{"name": "own", "files": {"test": "own.txt"}}]
    golds = [{"name": "second", "dataset": "own", "file": "second.txt"}]
    return Config.model_validate(places | {"datasets": datasets, "golds": golds} | sections)


def predict(
    results: str,
    night: int,
    model: str,
    version: int,
    words: Sequence[Sequence[str]],
    gold: Sequence[Sequence[str]],
    tags: Sequence[Sequence[str]],
    gold_name: str = "own",
    *,
    text: bool = True,
) -> Predicted:
    """Write the predictions of a version of a model, with one score per word, lower for wrong tags."""
    lengths = [len(sentence) for sentence in gold]
    sentence = np.repeat(np.arange(len(gold), dtype=np.int32), lengths)
    word, document = np.arange(len(sentence), dtype=np.int32), sentence // SENTENCES
    flat, predicted = ([tag for one in tagged for tag in one] for tagged in (gold, tags))
    hashed = PredictionsDigest()
    hashed.update(document, sentence, word, predicted)
    about = {
        "artifact_id": digest(model, version),
        "words_sha256": digest(words),
        "gold_sha256": digest(gold),
        "predictions_digest": hashed.hexdigest(),
        "model": model,
        "dataset": "own",
        "gold": gold_name,
        "split": "test",
        "dtype": "fp32",
    }
    rng = np.random.default_rng(version)
    wrong = np.array([ours != theirs for ours, theirs in zip(flat, predicted, strict=True)])
    columns: dict[str, Any] = {name: [value] * len(word) for name, value in about.items()}
    columns |= {"document": document, "sentence": sentence, "word": word, "gold_tag": flat, "pred_tag": predicted}
    columns["text"] = [one for words_ in words for one in words_] if text else [None] * len(word)
    columns["score"] = (0.99 - 0.4 * wrong - 0.05 * rng.random(len(word))).astype(np.float32)
    table = pa.table(
        {column.name: columns[column.name] for column in TABLES["predictions"].columns if column.name in columns}
    )
    uri = write_table(results, "predictions", table, date=f"2030-01-{night:02}", key=predictions_key(about))
    return Predicted(uri=uri, model_sha256=digest(version), **about)


def score(run: Run, predicted: Predicted, config: Config) -> None:
    """Write the tables that a benchmark derives from predictions: `metrics`, `confusion`, `errors`, `calibration`."""
    repaired = {"n_repaired": REPAIRED if predicted.gold == "second" else 0}
    rows = [row | repaired for row in metric_rows(run, predicted, score_stored(predicted, config))]
    key = f"{predicted.dataset}-{predicted.gold}"
    write_metrics(run, predicted.model_copy(update={"dataset": key}), rows)
    parts = partial(read_predictions(run.results, predicted.uri).parts, text=config.benchmark.text == "keep")
    write_analysis(run, predicted.identity, parts, lambda: calibration(parts()), found_at=date_of(predicted.uri))


def judge(run: Run, config: Config, candidate: Predicted, base: Predicted) -> list[dict[str, Any]]:
    """Write the rows of the gate."""
    gate = config.gate or GateConfig()
    rows = decide(gate, measure_stored(config, candidate, base))
    write_gate(run, candidate.model, rows)
    return rows


def measure(run: Run, model: str, version: int, p50_s: float, *, sweep: bool = False) -> None:
    """Write speed and memory of a model for single sentences and for a sweep."""
    known = {"run_id": run.run_id, "artifact_id": digest(model, version), "model": model, "device": "cpu"}
    known |= {"dtype": "fp32", "workload": "inference"}
    cells = [(1, None), *([(b, n) for b in (1, 2, 4, 8) for n in (32, 128)] if sweep else [])]
    times = [p50_s * (batch or 1) ** 0.8 * ((length or 32) / 32) for batch, length in cells]
    speed = [
        known
        | {"batch_size": batch, "sequence_length": length, "status": "ok", "backend": "eager", "n": 50}
        | {"mean_s": s, "p50_s": s, "p90_s": 1.4 * s, "p95_s": 1.6 * s, "p99_s": 2 * s, "words_per_s": 14 / s}
        | {"sentences_per_s": (batch or 1) / s, "samples_s": [s * (0.8 + 0.01 * n) for n in range(50)]}
        for (batch, length), s in zip(cells, times, strict=True)
    ]
    memory = known | {"batch_size": 1, "sequence_length": None, "parameters": 10**7, "weights_bytes": 4 * 10**7}
    memory |= {"load_s": 1.5, "baseline_rss_bytes": 10**8, "peak_rss_bytes": int(10**8 + 10**10 * p50_s)}
    for table, rows in (("speed", speed), ("memory", [memory])):
        write_table(run.results, table, rows, date=run.date, key=table_key(run.run_id, table, model, str(version)))


def call(run: Run, versions: Mapping[str, int], value: float) -> None:
    """Write values of benchmark functions: one for every model, and two without a model, one of which fails."""
    shared = {**run.columns, "tags": [], "status": "ok", "source": "mine.py@0"}
    evil = shared | {"name": "fails", "parameters": json.dumps({"k": EVIL_TYPE}), "status": "failed", "reason": EVIL[2]}
    write_custom(run, None, [shared | {"name": "answer", "parameters": "{}", "value": 42.0}, evil])
    for model, version in versions.items():
        known = shared | {"artifact_id": digest(model, version), "model": model, "name": "forward", "unit": "s"}
        rows = [known | {"parameters": json.dumps({"batch": n}), "value": n * value} for n in (1, 8)]
        write_table(run.results, "custom", rows, date=run.date, key=table_key(run.run_id, "custom", model))


def record(run: Run, config: Config, **columns: Any) -> None:
    """Write the row of `runs`."""
    known = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "flow": run.flow,
        "outcome": "ok",
        "host": "secret-host",
    }
    known |= {"configuration": config.model_dump_json(), "torch": "2.13.0", "total_s": 61.5} | columns
    write_table(run.results, "runs", [known], date=run.date, key=table_key(run.run_id, "runs", "1"))


def two_nights(results: str, **sections: Any) -> Mapping[str, Predicted]:
    """`good` does not change, and `<b>worse</b>` is worse in the second run; a gate compares both with the first run.

    Both are scored against two annotations; the second run has a sweep and another version of torch.
    """
    words, gold = corpus()
    second = noisy(gold, 0.04, seed=7)
    config = configuration(results, gate={"rules": [{}, {"metric": "recall", "label": "PER"}]}, **sections)
    text = config.benchmark.text == "keep"
    tags = {"good": noisy(gold, 0.08, seed=2), "<b>worse</b>": noisy(gold, 0.1, seed=3)}
    found: dict[str, Predicted] = {}
    for night in (1, 2):
        run = run_of(results, night)
        for model, predicted in tags.items():
            is_worse = night == 2 and model != "good"
            version = 1 + is_worse
            changed = noisy(predicted, 0.3, seed=4) if is_worse else predicted
            for name, annotation in (("own", gold), ("second", second)):
                one = predict(results, night, model, version, words, annotation, changed, name, text=text)
                score(run, one, config)
                found[f"{model} {night} {name}"] = one
            measure(run, model, version, 0.002 if model == "good" else 0.001, sweep=night == 2)
        call(run, {"good": 1, "<b>worse</b>": night}, 0.25 * night)
        record(run, config, torch=f"2.{11 + night}.0", outcome="failed" if night == 2 else "ok")
    for model in tags:  # the baseline is scored in the run too, as in a benchmark
        base, run = found[f"{model} 1 own"], run_of(results, 2)
        if base.artifact_id != found[f"{model} 2 own"].artifact_id:
            score(run, base, config)
        judge(run, config, found[f"{model} 2 own"], base)
    return found
