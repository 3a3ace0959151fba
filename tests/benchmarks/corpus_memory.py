"""Checks that time is linear in the size of a corpus and memory constant: evaluations of 1 and 100 times the words.

`python tests/benchmarks/corpus_memory.py [--times 100] [--model FOLDER] [--json]` writes CoNLL files of made-up words,
CoNLLpp's test split in size and a hundred times that, every sentence another one, and evaluates a model on each in a
separate process, from the file to the predictions that are kept; the small one six times, before and after the large
one, for what takes a second is soon disturbed: medians of these. Without `--model`, that is a BERT of two narrow
layers, so small that tokenizing, cutting, collecting and writing are most of the work, and minutes are enough.

- *infer*: seconds from words in memory to tags in memory; *CPU*: of the whole evaluation, with writing
- *peak*: VmHWM; *loaded*: the same before the inference, with the corpus read and the model in memory. Both count the
  pages of the words' file that the system has mapped and may drop at any time
- *own*: the maximum memory of the process without those, measured after each block
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

SENTENCES, WORDS_A_SENTENCE = 3_453, 46_435 / 3_453
ROOT = Path(__file__).resolve().parents[2]
REPEATS = 3
SCRAMBLER = 2_654_435_761
"""Makes distinct numbers of seven digits, so that words of a larger corpus do not have more tokens."""
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
TAGS = ("B-PER", "B-ORG", "B-LOC")


def sentences(n: int) -> Iterator[list[str]]:
    """Deterministic sentences of 1 to about 40 words; all are distinct, because one of their words is a number."""
    rng = Random(0)
    lexicon = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(20_000)]
    for number in range(n):
        length = 1 + min(60, round(rng.gammavariate(1.6, (WORDS_A_SENTENCE - 1) / 1.6)))
        words = rng.choices(lexicon, k=length)
        words[rng.randrange(length)] = f"{number * SCRAMBLER % 10**7:07d}"
        yield words


def write_corpus(path: Path, n: int) -> None:
    """A CoNLL file of n sentences, with documents of 15 sentences."""
    with path.open("w") as file:
        for number, words in enumerate(sentences(n)):
            if number % 15 == 0:
                file.write("-DOCSTART- O\n\n")
            file.writelines(f"{word} {TAGS[at % 3] if word[0] == 'b' else 'O'}\n" for at, word in enumerate(words))
            file.write("\n")


def write_model(folder: Path) -> None:
    """A random BERT with a tokenizer for the words."""
    import torch
    from transformers import BertConfig, BertForTokenClassification

    from nerbench.tasks.training.setup import train_tokenizer

    tokenizer = train_tokenizer(sentences(2_000), 3_000, 512)
    labels = ("O", *TAGS)
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=512, initializer_range=0.5, **shape, **names)
    BertForTokenClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def prepare(folder: Path, times: int, model: Path | None) -> None:
    """Both corpora and the published model."""
    from nerbench.artifacts.manifest import Provenance
    from nerbench.artifacts.store import Store

    if model is None:
        write_model(model := folder / "model")
    Store(str(folder / "store")).publish(model, "model", Provenance())
    for size in (1, times):
        write_corpus(folder / f"{size}.txt", size * SENTENCES)


def evaluate(folder: Path, size: int) -> dict[str, Any]:
    """The work of the flow for one model and one corpus, up to stored predictions; runs in a separate process."""
    import torch

    from nerbench.artifacts.references import resolve_one
    from nerbench.tasks.config import BenchmarkConfig, DatasetConfig
    from nerbench.tasks.data.corpus import load_splits
    from nerbench.tasks.inference.evaluation_cache import carry_out, plan
    from nerbench.tasks.inference.tagger_handles import tagger_handle

    torch.set_num_threads(1)
    artifact = resolve_one("model", str(folder / "store"))
    corpus = load_splits(DatasetConfig(name="made-up", files={"test": str(folder / f"{size}.txt")}))["test"]
    results = tempfile.mkdtemp(
        dir=folder
    )  # a new folder each time, or the second evaluation would find the predictions of the first
    planned = plan(artifact, corpus.words_sha256, BenchmarkConfig(device="cpu"), results)
    with tagger_handle(artifact, planned.settings) as handle:
        assert handle.value.labels
        loaded = status_bytes("VmHWM")
    own: list[int] = []
    started = time.process_time()
    record = carry_out(planned, artifact, corpus, results, lambda words: own.append(status_bytes("RssAnon")))
    return {
        "words": record.words,
        "infer_s": record.evaluate_s,
        "cpu_s": time.process_time() - started,
        "loaded_bytes": loaded,
        "own_bytes": max(own),
        "peak_bytes": status_bytes("VmHWM"),
        "file_bytes": (Path(results) / record.path).stat().st_size,
        "predictions_digest": record.predictions_digest,
    }


def status_bytes(field: str) -> int:
    """The memory of this process, from the kernel."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def run_alone(script: str, *arguments: str) -> dict[str, Any]:
    """The JSON object in the last line that a script prints, run in a process with one thread."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(folder: Path, size: int) -> dict[str, Any]:
    """The result of `evaluate` in a separate process."""
    return run_alone(__file__, "--folder", str(folder), "--size", str(size))


def medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number; other values are equal in all rows."""
    first = rounds[0]
    return {name: median(one[name] for one in rounds) if name in MEASURED else first[name] for name in first}


MEASURED = ("infer_s", "cpu_s", "loaded_bytes", "own_bytes", "peak_bytes")
MEMORY = ("loaded", "own", "peak", "file")


def show(found: dict[int, dict[str, Any]]) -> None:
    """Print both, and their ratio."""
    print(f"{'':10}{'words':>12}{'infer s':>10}{'CPU s':>10}" + "".join(f"{f'{name} MB':>12}" for name in MEMORY))
    for size, row in found.items():
        memory = "".join(f"{row[f'{name}_bytes'] / 1e6:12.1f}" for name in MEMORY)
        print(f"{size:>8} ×{row['words']:12,}{row['infer_s']:10.2f}{row['cpu_s']:10.2f}{memory}")
    small, large = (found[size] for size in sorted(found))
    ratios = {name: large[name] / small[name] for name in ("words", "infer_s", "cpu_s", "own_bytes", "peak_bytes")}
    print(", ".join(f"{name} {ratio:.3f} ×" for name, ratio in ratios.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--model", type=Path, help="a token classifier's folder")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        print(json.dumps(evaluate(arguments.folder, arguments.size)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder, arguments.times, arguments.model)
        before = [child(folder, 1) for _ in range(REPEATS)]
        large = child(folder, arguments.times)
        after = [child(folder, 1) for _ in range(REPEATS)]
        found = {1: medians([*before, *after]), arguments.times: large}
    if arguments.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
