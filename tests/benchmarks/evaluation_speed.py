"""Measures the time from words to tags, against peers with the same model and the arithmetic floor.

    python tests/benchmarks/evaluation_speed.py --model FOLDER [--words FILE] [--rounds 3] [--sentences N] [--json]

FOLDER holds a token classifier, or an encoder, which gets a random head of nine labels. FILE has a word a line, as
CoNLL's; without it, CoNLLpp's test split is looked for in ../shared. One process, all contenders in turn, several
rounds, medians. The time is from words in memory to tags in memory, the model loaded. Those that take longest get
every n-th sentence, and their time is scaled up. The arithmetic floor is the FLOPs of the distinct sentences' tokens,
once, over the rate of matrix products of these shapes, measured in between: `torch` by torch's own products, `onednn`
by oneDNN
with packed weights, where it has the precision. `make bench` runs it; OMP_NUM_THREADS sets the threads.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from arithmetic_floor import Products, Seconds, timed, work_of
from evaluation_peers import Peers, Tags, Words

from nerbench.tasks.config import DatasetConfig
from nerbench.tasks.data.corpus import load_splits
from nerbench.tasks.inference.loading import load_tagger
from nerbench.tasks.inference.optimize import optimize_for_inference
from nerbench.tasks.inference.prediction import predict
from nerbench.tasks.inference.tagger import Tagger
from nerbench.tasks.inference.tokenization import tokenize

CORPUS = "../shared/data/conllpp/test.txt"
LABELS = ("O", *(f"{prefix}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for prefix in "BI"))
SLOW_SHARE = 8
"""The slowest peers get every eighth sentence."""


class Contender(NamedTuple):
    """A way to tag a corpus."""

    tag: Callable[[Words], Tags]
    precision: str = "fp32"
    every: int = 1


class Result(NamedTuple):
    """A contender's medians, scaled to all sentences."""

    seconds: Seconds
    agreement: float
    """Share of words with the tag of one sentence at a time, in fp32."""
    floors: dict[str, Seconds]


def ours(tagger: Tagger) -> Callable[[Words], Tags]:
    """The work of the benchmark flow between words and tags."""

    def tag(sentences: Words) -> Tags:
        names = [*tagger.labels, "O"]
        flat = iter([names[label] for block in predict(tagger, sentences) for label in block.labels])
        return [[next(flat) for _ in words] for words in sentences]

    return tag


def contenders(folder: Path) -> dict[str, Contender]:
    """nerbench, and the peers with a separate model."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    cpu = torch.device("cpu")
    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32)
    peers = Peers(model, AutoTokenizer.from_pretrained(folder))
    everyone = {
        "ours, fp32": Contender(ours(optimize_for_inference(load_tagger(folder, device=cpu)))),
        "ours, bf16": Contender(
            ours(optimize_for_inference(load_tagger(folder, device=cpu, precision="bf16"))), "bf16"
        ),
        "ours, fp32, not quickened": Contender(ours(load_tagger(folder, device=cpu))),
        "one sentence at a time": Contender(peers.one_at_a_time, every=SLOW_SHARE),
        "batches of 8, padded": Contender(peers.padded_batches),
        "pipeline(), one by one": Contender(peers.pipeline_of(1), every=SLOW_SHARE),
        "pipeline(batch_size=8)": Contender(peers.pipeline_of(8)),
        "evaluate's evaluator": Contender(peers.evaluator, every=SLOW_SHARE),
        "Trainer.predict": Contender(peers.trainer),
    }
    needs = {"evaluate's evaluator": "evaluate", "Trainer.predict": "accelerate"}
    return {name: one for name, one in everyone.items() if find_spec(needs.get(name, "torch"))}


def compare(folder: Path, sentences: Words, rounds: int, only: str) -> dict[str, Result]:
    """Run all contenders whose name has `only` in it, in turn."""
    chosen = {name: one for name, one in contenders(folder).items() if only in name}
    tagger = load_tagger(folder, device=torch.device("cpu"))
    around = len(tagger.tokenizer.special.prefix) + len(tagger.tokenizer.special.suffix)
    pieces = tokenize(tagger.tokenizer.backend, list(dict.fromkeys(map(tuple, sentences))))
    work = work_of(tagger.model, [len(of_one.ids) + around for of_one in pieces])
    products = {name: Products(work, dtype) for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))}
    expected = Peers(tagger.model, tagger.tokenizer.wrapper).one_at_a_time(sentences)
    seconds: dict[str, list[Seconds]] = {name: [] for name in chosen}
    floors: dict[str, list[dict[str, Seconds]]] = {name: [] for name in chosen}
    agreement: dict[str, float] = {}
    for one in chosen.values():
        one.tag(sentences[:16])
    for _ in range(rounds):
        for name, one in chosen.items():
            mine = sentences[:: one.every]
            before = products[one.precision].floors()
            tags: list[Tags] = []
            took = timed(lambda one=one, mine=mine, tags=tags: tags.append(one.tag(mine)))  # type: ignore[misc]
            after = products[one.precision].floors()
            scale = sum(map(len, sentences)) / sum(map(len, mine))
            seconds[name].append(Seconds(took.wall * scale, took.cpu * scale))
            floors[name].append({kernel: _mean(before[kernel], after[kernel]) for kernel in before})
            agreement[name] = _agreement(tags[0], expected[:: one.every])
    return {
        name: Result(
            _median(seconds[name]),
            agreement[name],
            {kernel: _median([of_round[kernel] for of_round in floors[name]]) for kernel in floors[name][0]},
        )
        for name in chosen
    }


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
            "times_ours": result.seconds.cpu / reference.seconds.cpu,
            **{f"floor_{kernel}_cpu_s": floor.cpu for kernel, floor in result.floors.items()},
            **{f"floor_{kernel}_wall_s": floor.wall for kernel, floor in result.floors.items()},
            **{f"of_floor_{kernel}": floor.wall / result.seconds.wall for kernel, floor in result.floors.items()},
            **{f"of_floor_{kernel}_cpu": floor.cpu / result.seconds.cpu for kernel, floor in result.floors.items()},
            "agreement": result.agreement,
        }
        for name, result in results.items()
    ]


def show(table: list[dict[str, Any]]) -> None:
    """Print it; the floor is given as a share of a contender's time, wall and CPU: 1 is the arithmetic alone."""
    print(f"{'':28}{'wall s':>9}{'CPU s':>9}{'× ours':>9}{'floor/torch':>16}{'floor/oneDNN':>16}{'agreement':>12}")
    for row in table:
        shares = [
            f"{row[f'of_floor_{kernel}']:.2f} ({row[f'of_floor_{kernel}_cpu']:.2f})"
            if f"of_floor_{kernel}" in row
            else "-"
            for kernel in ("torch", "onednn")
        ]
        print(
            f"{row['contender']:28}{row['wall_s']:9.2f}{row['cpu_s']:9.2f}{row['times_ours']:9.2f}"
            f"{shares[0]:>16}{shares[1]:>16}{row['agreement']:12.4%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--words", default=CORPUS)
    parser.add_argument("--sentences", type=int, help="the first so many only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="contenders whose name has this in it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    corpus = load_splits(DatasetConfig(name="words", files={"test": arguments.words}))["test"]
    sentences = list(corpus.words)[: arguments.sentences]
    with tempfile.TemporaryDirectory() as scratch:
        folder = model_folder(arguments.model, Path(scratch))
        table = rows(compare(folder, sentences, arguments.rounds, arguments.only))
    if arguments.json:
        print(json.dumps({"threads": torch.get_num_threads(), "rounds": arguments.rounds, "rows": table}))
    else:
        print(f"{len(sentences)} sentences, {torch.get_num_threads()} threads, medians of {arguments.rounds} rounds")
        show(table)


if __name__ == "__main__":
    main()
