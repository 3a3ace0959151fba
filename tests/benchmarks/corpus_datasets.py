"""Compares the costs of Hugging Face's `datasets` and of nerbench for reading and tokenizing a corpus.

`python tests/benchmarks/corpus_datasets.py [--times 100]` writes the CoNLL files of `corpus_memory.py`, CoNLLpp's test
split in size and `--times` that, and does each of these in a separate process, on one core:

- *parse*: iterates over the sentences of the file; the next two do this too
- *nerbench*: reads them as `load_splits` does; *generator*: by `Dataset.from_generator`, with the same features
- *walk*, *walk dataset*: every word as a Python string, from the corpus and from its `Dataset`
- *windows*: tokenizes, cuts and labels in memory, as lists; *map*: by `tokenized_corpora`, first; *again*: the second

`CPU s` leaves imports and what comes before out. `peak MB` is VmHWM, and `before MB` the same before the work.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpus_memory import ROOT, SENTENCES, TAGS, status_bytes, write_corpus, write_model

if TYPE_CHECKING:
    from nerbench.tasks.config import DatasetConfig
    from nerbench.tasks.data.corpus import Corpus

Work = Callable[[], Callable[[], int]]
"""Prepares, and returns the measured function, which returns a count to compare."""


def from_generator(folder: Path, config: "DatasetConfig", names: list[str]) -> Callable[[], int]:
    """Build a `datasets.Dataset` in its own cache from the sentences of the reader."""
    from datasets import ClassLabel, Dataset, Features, List, Value

    from nerbench.tasks.data.readers import read_splits

    kinds = Features(tokens=List(Value("string")), ner_tags=List(ClassLabel(names=names)), document=Value("int64"))

    def rows(path: str) -> Iterator[dict[str, Any]]:
        for one in read_splits(config)["test"].sentences:
            yield {"tokens": one.words, "ner_tags": one.tags, "document": one.document}

    options: Any = {"features": kinds, "gen_kwargs": {"path": config.files["test"]}, "cache_dir": str(folder / "hf")}
    return lambda: len(Dataset.from_generator(rows, **options))


def windows_in_memory(folder: Path, own: "Corpus", names: list[str]) -> Callable[[], int]:
    """Tokenize and align labels as lists, as before `Dataset.map`."""
    from nerbench.tasks.inference.loading import load_tokenizer
    from nerbench.tasks.inference.tokenization import tokenize, windows

    tokenizer = load_tokenizer(folder / "model")
    number = {tag: at for at, tag in enumerate(names)}

    def work() -> int:
        items = []
        for one in windows(tokenize(tokenizer.backend, own.words), 512, tokenizer.special):
            labels, tags = [-100] * len(one.ids), own.tags[one.sentence]
            for word, start in zip(one.words, one.starts, strict=True):
                labels[start] = number[tags[word]]
            items.append({"input_ids": one.ids, "labels": labels})
        return sum(len(item["input_ids"]) for item in items)

    return work


def contenders(folder: Path, path: str) -> dict[str, Work]:
    """The contenders by name; all except `parse` work on words, tags and documents."""
    from nerbench.tasks.config import DatasetConfig
    from nerbench.tasks.data.corpus import Corpus, load_splits
    from nerbench.tasks.data.load_corpus import as_dataset
    from nerbench.tasks.data.readers import read_splits
    from nerbench.tasks.data.tag_schemes import tag_vocabulary
    from nerbench.tasks.inference.loading import load_tokenizer
    from nerbench.tasks.training.tokenized_corpora import tokenized

    config = DatasetConfig(name="made-up", files={"test": path})
    names = tag_vocabulary({tag[2:] for tag in TAGS})

    def corpus() -> Corpus:
        return load_splits(config)["test"]

    def walk_dataset() -> Callable[[], int]:
        rows = as_dataset(corpus(), names)
        return lambda: sum(len(words) for batch in rows.iter(2048) for words in batch["tokens"])

    def walk() -> Callable[[], int]:
        words = corpus().words
        return lambda: sum(map(len, words))

    def mapped() -> Callable[[], int]:
        import datasets  # noqa: F401 - Trainer has imported it

        own, tokenizer = corpus(), load_tokenizer(folder / "model")
        return lambda: sum(
            len(chunk.values) for chunk in tokenized(own, tokenizer, 512, names).data["input_ids"].chunks
        )

    def nerbench() -> Callable[[], int]:
        import datasets  # noqa: F401 - so that both start with equal memory

        return lambda: len(corpus().words)

    return {
        "parse": lambda: lambda: sum(1 for _ in read_splits(config)["test"].sentences),
        "nerbench": nerbench,
        "generator": lambda: from_generator(folder, config, names),
        "walk": walk,
        "walk dataset": walk_dataset,
        "windows": lambda: windows_in_memory(folder, corpus(), names),
        "map": mapped,
        "again": mapped,
    }


def measure(folder: Path, name: str, size: int) -> None:
    """Print a row."""
    work = contenders(folder, str(folder / f"{size}.txt"))[name]()
    before, started = status_bytes("VmHWM"), time.process_time()
    count = work()
    seconds, peak = time.process_time() - started, status_bytes("VmHWM")
    print(f"{name:14}{size:>5} ×{count:12,}{seconds:10.2f}{before / 1e6:12.1f}{peak / 1e6:12.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder:
        measure(given.folder, given.name, given.size)
        return
    print(f"{'':21}{'items':>12}{'CPU s':>10}{'before MB':>12}{'peak MB':>12}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_model(folder / "model")
        own = {"PYTHONPATH": str(ROOT), "NERBENCH_CACHE": str(folder / "cache"), "HF_HOME": str(folder / "hf")}
        environment = os.environ | own | dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
        for size in (1, given.times):
            write_corpus(folder / f"{size}.txt", size * SENTENCES)
            for name in contenders(folder, "-"):
                command = [sys.executable, __file__, "--folder", scratch, "--name", name, "--size", str(size)]
                subprocess.run(command, check=True, env=environment | {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1"})


if __name__ == "__main__":
    main()
