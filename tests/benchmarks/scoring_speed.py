"""Measures scoring of stored predictions, against seqeval and against reading the file.

`python tests/benchmarks/scoring_speed.py [--corpora 100]` writes synthetic predictions of so many corpora of the size
of CoNLLpp's test split to a temporary folder and prints a table: medians of three runs, on one core, each line in a
separate process. seqeval has a tenth of the corpora, and one run. It needs the development packages.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

N_WORDS, N_SENTENCES, N_DOCUMENTS, N_ENTITIES = 46_435, 3_453, 231, 5_702
TYPES = ("LOC", "MISC", "ORG", "PER")
WRONG = 0.06
"""Share of words in or next to entities with a new random tag: about a tenth of the entities differ from the gold."""
RUNS = 3
COLUMNS = ["document", "sentence", "word", "gold_tag", "pred_tag"]
Codes = npt.NDArray[np.int64]


def gold_codes(rng: np.random.Generator) -> Codes:
    """Tags of one corpus as in `nerbench.tasks.scoring.entities`: entities of one to three words, evenly strewn."""
    codes = np.zeros(N_WORDS, np.int64)
    starts = np.linspace(0, N_WORDS - 4, N_ENTITIES).astype(np.int64)
    lengths = rng.choice([1, 2, 3], N_ENTITIES, p=[0.65, 0.27, 0.08])
    types = rng.integers(0, len(TYPES), N_ENTITIES)
    for position in (2, 1, 0):
        here = lengths > position
        codes[starts[here] + position] = 2 * types[here] + (1 if position == 0 else 2)
    return codes


def predicted_codes(gold: Codes, rng: np.random.Generator) -> Codes:
    """The gold with errors of every kind, some of them invalid transitions."""
    near = (gold > 0) | (np.roll(gold, 1) > 0)
    wrong = near & (rng.random(len(gold)) < WRONG)
    return np.where(wrong, rng.integers(0, 2 * len(TYPES) + 1, len(gold)), gold)


def write(results: str, n_corpora: int) -> str:
    """Write predictions of a repeated corpus, with other errors each time; return the location of the file."""
    import pyarrow as pa

    from nerbench.artifacts.tables.tables import write_table
    from nerbench.tasks.data.tag_schemes import tag_vocabulary
    from nerbench.tasks.inference.prediction_files import PredictionsDigest

    rng = np.random.default_rng(0)
    gold = np.tile(gold_codes(rng), n_corpora)
    predicted = predicted_codes(gold, rng)
    word = np.arange(N_WORDS * n_corpora, dtype=np.int32)
    sentence = (word * np.float64(N_SENTENCES / N_WORDS)).astype(np.int32)
    document = (sentence * np.float64(N_DOCUMENTS / N_SENTENCES)).astype(np.int32)
    names = np.array(tag_vocabulary(TYPES), object)
    digest = PredictionsDigest()
    digest.update(document, sentence, word, names[predicted].tolist())
    constants = ("model", "artifact_id", "dataset", "gold", "split", "words_sha256", "gold_sha256", "dtype")
    zeros = np.zeros(len(word), np.int32)
    columns = {name: pa.DictionaryArray.from_arrays(zeros, ["synthetic"]) for name in constants}
    columns["predictions_digest"] = pa.DictionaryArray.from_arrays(zeros, [digest.hexdigest()])
    columns |= {"document": document, "sentence": sentence, "word": word}
    columns["text"] = pa.array(rng.integers(0, 20_000, len(word))).cast(pa.string())
    columns["score"] = rng.random(len(word), np.float32)
    for name, codes in (("gold_tag", gold), ("pred_tag", predicted)):
        columns[name] = pa.DictionaryArray.from_arrays(codes.astype(np.int32), pa.array(names))
    return write_table(results, "predictions", pa.table(columns), date="2026-01-01", key=f"corpora-{n_corpora}")


def read_alone(results: str, uri: str) -> Callable[[], object]:
    """The physical floor: the columns that scoring needs, decoded once."""
    import pyarrow.parquet as pq

    return lambda: pq.read_table(uri, columns=COLUMNS, read_dictionary=COLUMNS[-2:], use_threads=False)


def score_everything(results: str, uri: str) -> Callable[[], object]:
    """From the file to every row of the `metrics` table: all levels, modes and labels."""
    from nerbench.tasks.scoring.counts import OVERALL, count
    from nerbench.tasks.scoring.score import score
    from nerbench.tasks.scoring.stored_predictions import read_predictions

    def run() -> int:
        predictions = read_predictions(results, uri)
        counts = count(predictions.parts(text=False, score=False))
        return sum(len(score(counts, label)) for label in (OVERALL, *predictions.types))

    return run


def seqeval_strict(results: str, uri: str) -> Callable[[], object]:
    """One mode of five, from lists in memory."""
    import pyarrow.parquet as pq
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

    table = pq.read_table(uri, columns=COLUMNS)
    ends = np.flatnonzero(np.diff(table["sentence"].to_numpy())) + 1
    bounds = list(zip([0, *ends.tolist()], [*ends.tolist(), len(table)], strict=True))
    gold, predicted = (table[name].to_pylist() for name in COLUMNS[-2:])
    sentences = [[tags[start:end] for start, end in bounds] for tags in (gold, predicted)]
    return lambda: classification_report(*sentences, mode="strict", scheme=IOB2)


JOBS = {"read": read_alone, "nerbench": score_everything, "seqeval": seqeval_strict}


def measure(job: str, results: str, uri: str, runs: int) -> None:
    """Print the median time and the peak memory as JSON; runs in a separate process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    run = JOBS[job](results, uri)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"seconds": median(seconds), "peak_bytes": peak}))


def child(*arguments: str) -> str:
    """The output of this script in a child process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True, env=environment
    )
    return done.stdout.strip()


def compare(n_corpora: int) -> None:
    """Print the table."""
    sizes = sorted({max(1, n_corpora // 100), max(1, n_corpora // 10), n_corpora})
    lines = [("read alone (the floor)", "read", n_corpora, RUNS)]
    lines += [("nerbench, all modes and labels", "nerbench", size, RUNS) for size in sizes]
    lines += [("seqeval strict, from lists", "seqeval", sizes[-2] if len(sizes) > 1 else n_corpora, 1)]
    print(f"{'':32}{'words':>12}{'seconds':>10}{'M words/s':>11}{'peak MiB':>10}")
    with tempfile.TemporaryDirectory() as results:
        uris = {size: child("--write", str(size), "--results", results) for size in sizes}
        for name, job, size, runs in lines:
            found = json.loads(child("--job", job, "--results", results, "--uri", uris[size], "--runs", str(runs)))
            n_words, seconds = size * N_WORDS, found["seconds"]
            rate, peak = n_words / seconds / 1e6, found["peak_bytes"] / 2**20
            print(f"{name:32}{n_words:12,}{seconds:10.2f}{rate:11.2f}{peak:10.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpora", type=int, default=100)
    for option in ("--write", "--job", "--results", "--uri", "--runs"):
        parser.add_argument(option, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        print(write(arguments.results, int(arguments.write)))
    elif arguments.job:
        measure(arguments.job, arguments.results, arguments.uri, int(arguments.runs))
    else:
        compare(arguments.corpora)


if __name__ == "__main__":
    main()
