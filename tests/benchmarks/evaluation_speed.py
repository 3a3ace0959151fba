"""Measures the time from words to tags, against peers with the same model and the arithmetic floor.

    python tests/benchmarks/evaluation_speed.py --model FOLDER [--words FILE] [--rounds 3] [--sentences N] [--json]

FOLDER holds a token classifier, or an encoder, which gets a random head of nine labels. FILE is a CoNLL file, with
one word per line; without it, CoNLLpp's test split is read from ../shared. One process, all contenders in turn, several
rounds, medians. The time is from words in memory to tags in memory, the model loaded. Those that take longest get
every n-th sentence, and their time is scaled up. The arithmetic floor is the FLOPs of the distinct sentences' tokens,
once, over the rate of matrix products of these shapes, measured in between: `torch` by torch's own products, `onednn`
by oneDNN with packed weights, where it has the precision. `make bench` runs it; OMP_NUM_THREADS sets the threads.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pyarrow as pa
import torch
from arithmetic_floor import Products, Seconds, timed, work_of
from evaluation_engines import Engines
from evaluation_peers import Peers, Tag, Tags, Words

from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import Corpus, load_splits
from nerbench.tasks.inference.backend_sessions import use_backend
from nerbench.tasks.inference.backends import PACKAGES
from nerbench.tasks.inference.linear_kernels import kernels_for
from nerbench.tasks.inference.loaded_model import LoadedModel
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.prediction import BLOCK, predict
from nerbench.tasks.inference.tokenization import tokenize
from nerbench.tasks.scoring.counts import OVERALL, count
from nerbench.tasks.scoring.score import score
from nerbench.tasks.scoring.tagged_words import from_corpus

CORPUS = "../shared/data/conllpp/test.txt"
LABELS = ("O", *(f"{prefix}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for prefix in "BI"))
ONNX, OPENVINO = PACKAGES["onnxruntime"], PACKAGES["openvino"]
SLOW_SHARE = 8
"""The slowest peers get every eighth sentence."""


class Contender(NamedTuple):
    """A way to tag a corpus."""

    prepare: Callable[[], Tag]
    """Loads the model, and returns what is timed."""
    precision: str = "fp32"
    every: int = 1
    needs: tuple[str, ...] = ()
    """Packages that it imports."""


class Result(NamedTuple):
    """A contender's medians, scaled to all sentences."""

    seconds: Seconds
    agreement: float
    """Share of words with the tag of one sentence at a time, in fp32."""
    f1_difference: float | None
    """Strict F1 minus that of one sentence at a time, in 0…1; None if only some sentences were tagged."""
    floors: dict[str, Seconds]


def nerbench_tags(folder: Path, precision: str = "fp32", *, backend: str = "torch", as_saved: bool = False) -> Tag:
    """The work of the benchmark flow between words and tags, with the fastest kernels of this machine."""
    tagger = load_tagger(folder, device=torch.device("cpu"), precision=precision if backend == "torch" else "fp32")
    if backend != "torch":
        tagger = use_backend(tagger, folder, backend, precision, folder.name)
    elif not as_saved:
        with tempfile.TemporaryDirectory() as results:
            kernels = kernels_for(tagger.model, results) if precision == "fp32" else None
        tagger = optimize_for_inference(tagger, kernels)
    names = [*tagger.labels, "O"]

    def tag(sentences: Words) -> Tags:
        flat = iter([names[label] for block in predict(tagger, sentences) for label in block.labels])
        return [[next(flat) for _ in words] for words in sentences]

    return tag


def contenders(folder: Path, scratch: Path) -> dict[str, Contender]:
    """nerbench, and the peers with a separate model."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32)
    peers = Peers(model, AutoTokenizer.from_pretrained(folder))
    engines = Engines(peers, folder, scratch)
    return {
        "nerbench, fp32": Contender(lambda: nerbench_tags(folder)),
        "nerbench, bf16": Contender(lambda: nerbench_tags(folder, "bf16"), "bf16"),
        "nerbench, int8": Contender(lambda: nerbench_tags(folder, "int8")),
        "nerbench on ONNX Runtime, fp32": Contender(lambda: nerbench_tags(folder, backend="onnxruntime"), needs=ONNX),
        "nerbench on ONNX Runtime, int8": Contender(
            lambda: nerbench_tags(folder, "int8", backend="onnxruntime"), needs=ONNX
        ),
        "nerbench on OpenVINO, fp32": Contender(lambda: nerbench_tags(folder, backend="openvino"), needs=OPENVINO),
        "torch, length-sorted": Contender(engines.torch),
        "ONNX Runtime, fp32": Contender(engines.onnxruntime, needs=ONNX),
        "ONNX Runtime, int8": Contender(engines.onnxruntime_int8, needs=ONNX),
        "OpenVINO, fp32": Contender(engines.openvino, needs=OPENVINO),
        "nerbench, fp32, not optimized": Contender(lambda: nerbench_tags(folder, as_saved=True)),
        "one sentence at a time": Contender(lambda: peers.one_at_a_time, every=SLOW_SHARE),
        "batches of 8, padded": Contender(lambda: peers.padded_batches),
        "pipeline(), one by one": Contender(lambda: peers.pipeline_of(1), every=SLOW_SHARE),
        "pipeline(batch_size=8)": Contender(lambda: peers.pipeline_of(8)),
        "evaluate's evaluator": Contender(lambda: peers.evaluator, every=SLOW_SHARE, needs=("evaluate",)),
        "Trainer.predict": Contender(lambda: peers.trainer, needs=("accelerate",)),
    }


def possible(wanted: dict[str, Contender], products: dict[str, Products]) -> dict[str, Contender]:
    """The contenders that this machine can run. Prints to stderr which ones are left out, and why."""
    found = {}
    for name, one in wanted.items():
        if missing := [package for package in one.needs if not find_spec(package)]:
            print(f"{name} is left out: {', '.join(missing)} not installed", file=sys.stderr)
        elif one.precision == "bf16" and "onednn" not in products["bf16"].kernels:
            print(f"{name} is left out: oneDNN does not compute bf16 on this processor", file=sys.stderr)
        else:
            found[name] = one
    return found


def compare(folder: Path, corpus: Corpus, rounds: int, only: Sequence[str]) -> dict[str, Result]:
    """Run all contenders whose name has one of `only` in it, in turn."""
    sentences = list(corpus.words)
    tagger = load_tagger(folder, device=torch.device("cpu"))
    work = work_of(tagger.model, pieces_of(tagger, list(dict.fromkeys(map(tuple, sentences)))))
    products = {name: Products(work, dtype) for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    print(about(tagger, sentences, products["fp32"]), file=sys.stderr)
    expected = Peers(tagger.model, tagger.tokenizer.wrapper).one_at_a_time(sentences)
    with tempfile.TemporaryDirectory() as scratch:
        wanted = contenders(folder, Path(scratch)).items()
        chosen = possible({name: one for name, one in wanted if any(part in name for part in only)}, products)
        tag_of = {name: one.prepare() for name, one in chosen.items()}
    seconds: dict[str, list[Seconds]] = {name: [] for name in chosen}
    floors: dict[str, list[dict[str, Seconds]]] = {name: [] for name in chosen}
    tags: dict[str, Tags] = {}
    for tag in tag_of.values():
        tag(sentences[:16])
    for _ in range(rounds):
        for name, one in chosen.items():
            mine = sentences[:: one.every]
            before = products[one.precision].floors()
            took = timed(lambda name=name, mine=mine: tags.update({name: tag_of[name](mine)}))  # type: ignore[misc]
            after = products[one.precision].floors()
            scale = sum(map(len, sentences)) / sum(map(len, mine))
            seconds[name].append(Seconds(took.wall * scale, took.cpu * scale))
            floors[name].append({kernel: _mean(before[kernel], after[kernel]) for kernel in before})
    return {
        name: Result(
            _median(seconds[name]),
            _agreement(tags[name], expected[:: one.every]),
            strict_f1(corpus, tags[name]) - strict_f1(corpus, expected) if one.every == 1 else None,
            {kernel: _median([of_round[kernel] for of_round in floors[name]]) for kernel in floors[name][0]},
        )
        for name, one in chosen.items()
    }


def about(tagger: LoadedModel, sentences: Words, products: Products) -> str:
    """What equal sentences save, and how fast each kernel multiplies matrices of each shape."""
    blocks = (sentences[start : start + BLOCK] for start in range(0, len(sentences), BLOCK))
    once = sum(sum(pieces_of(tagger, list(dict.fromkeys(map(tuple, block))))) for block in blocks)
    total = sum(pieces_of(tagger, sentences))
    lines = [f"equal sentences computed once: {once:,} of {total:,} tokens ({once / total:.1%}); GFLOP per CPU second:"]
    for (inputs, outputs), rates in products.rates().items():
        lines.append(f"{inputs} × {outputs}: " + ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()))
    return "\n".join(lines)


def pieces_of(tagger: LoadedModel, sentences: Sequence[Sequence[str]]) -> list[int]:
    """The number of tokens of each sentence, including special tokens."""
    around = len(tagger.tokenizer.special.prefix) + len(tagger.tokenizer.special.suffix)
    return [len(pieces.ids) + around for pieces in tokenize(tagger.tokenizer.backend, sentences)]


def strict_f1(corpus: Corpus, tags: Tags) -> float:
    """Micro-averaged F1 of entities with the same words and type."""
    predicted = pa.chunked_array([[tag for of_sentence in tags for tag in of_sentence]])
    counts = count(from_corpus(corpus, predicted, types=corpus.types))
    wanted = {"mode": "strict", "metric": "f1", "average": "micro"}
    return float(next(row["value"] for row in score(counts, OVERALL) if row.items() >= wanted.items()) or 0)


def _mean(a: Seconds, b: Seconds) -> Seconds:
    return Seconds((a.wall + b.wall) / 2, (a.cpu + b.cpu) / 2)


def _median(several: Sequence[Seconds]) -> Seconds:
    return Seconds(median(s.wall for s in several), median(s.cpu for s in several))


def _agreement(tags: Tags, expected: Tags) -> float:
    pairs = [pair for a, b in zip(tags, expected, strict=True) for pair in zip(a, b, strict=True)]
    return sum(a == b for a, b in pairs) / len(pairs)


def model_folder(given: Path, scratch: Path) -> Path:
    """The folder itself, or that of the encoder in it with a random head."""
    from transformers import AutoConfig, AutoModelForTokenClassification, AutoTokenizer

    if any("TokenClassification" in name for name in AutoConfig.from_pretrained(given).architectures or ()):
        return given
    torch.manual_seed(0)
    names = {"id2label": dict(enumerate(LABELS)), "label2id": {label: i for i, label in enumerate(LABELS)}}
    model = AutoModelForTokenClassification.from_pretrained(given, dtype=torch.float32, **names)
    torch.nn.init.normal_(model.classifier.weight, std=0.5)  # tags that vary
    model.save_pretrained(scratch)
    AutoTokenizer.from_pretrained(given).save_pretrained(scratch)
    return scratch


def rows(results: dict[str, Result]) -> list[dict[str, Any]]:
    """The printed values as plain data."""
    reference = next(iter(results.values()))
    return [
        {
            "contender": name,
            "wall_s": result.seconds.wall,
            "cpu_s": result.seconds.cpu,
            "times_nerbench": result.seconds.cpu / reference.seconds.cpu,
            **{f"floor_{kernel}_cpu_s": floor.cpu for kernel, floor in result.floors.items()},
            **{f"floor_{kernel}_wall_s": floor.wall for kernel, floor in result.floors.items()},
            **{f"of_floor_{kernel}": floor.wall / result.seconds.wall for kernel, floor in result.floors.items()},
            **{f"of_floor_{kernel}_cpu": floor.cpu / result.seconds.cpu for kernel, floor in result.floors.items()},
            "agreement": result.agreement,
            "f1_difference": result.f1_difference,
        }
        for name, result in results.items()
    ]


def show(table: list[dict[str, Any]]) -> None:
    """Print it; the floor is given as a share of a contender's time, wall and CPU: 1 is the arithmetic alone."""
    columns = f"{'wall s':>9}{'CPU s':>9}{'× nerbench':>12}{'floor/torch':>16}{'floor/oneDNN':>16}"
    print(f"{'':31}{columns}{'agreement':>12}{'F1 points':>11}")
    for row in table:
        shares = [
            f"{row[f'of_floor_{kernel}']:.2f} ({row[f'of_floor_{kernel}_cpu']:.2f})"
            if f"of_floor_{kernel}" in row
            else "-"
            for kernel in ("torch", "onednn")
        ]
        difference = "-" if row["f1_difference"] is None else f"{100 * row['f1_difference']:+.2f}"
        print(
            f"{row['contender']:31}{row['wall_s']:9.2f}{row['cpu_s']:9.2f}{row['times_nerbench']:12.2f}"
            f"{shares[0]:>16}{shares[1]:>16}{row['agreement']:12.4%}{difference:>11}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--words", default=CORPUS)
    parser.add_argument("--sentences", type=int, help="the first so many only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders whose name has one of these, `;`-separated, in it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    corpus = load_splits(DatasetConfig(name="words", files={"test": arguments.words}))["test"]
    corpus = replace(
        corpus,
        words=corpus.words[: arguments.sentences],
        tags=corpus.tags[: arguments.sentences],
        documents=corpus.documents and corpus.documents[: arguments.sentences],
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = model_folder(arguments.model, Path(scratch))
        table = rows(compare(folder, corpus, arguments.rounds, arguments.only.split(";")))
    if arguments.json:
        print(json.dumps({"threads": torch.get_num_threads(), "rounds": arguments.rounds, "rows": table}))
    else:
        print(f"{len(corpus.words)} sentences, {torch.get_num_threads()} threads, medians of {arguments.rounds} rounds")
        show(table)


if __name__ == "__main__":
    main()
